"""Databases of a cloud of a given size, made by the server itself with MariaDB's sequence engine: no data is shipped.

Shapes, indexes and proportions are those of a cloud that was never cleaned up: of N instances three quarters are
deleted softly; each has its extra row and three rows of metadata, every fourth a fault; Neutron has N resources with
a tag each, Keystone N revocations. All in all 8.25 rows for each instance. Values derive from md5 of the row's number,
so they compress better than real ones do.
"""

from __future__ import annotations

# ruff: noqa: S608 - numbers and constants alone go into these statements

ROWS_PER_INSTANCE = 8.25

_SOFT = "created_at DATETIME NULL, updated_at DATETIME NULL, deleted_at DATETIME NULL"
_SCHEMAS = f"""
CREATE DATABASE nova CHARACTER SET utf8mb3; CREATE DATABASE neutron CHARACTER SET utf8mb3;
CREATE DATABASE keystone CHARACTER SET utf8mb3;
CREATE TABLE nova.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE neutron.alembic_version LIKE nova.alembic_version;
CREATE TABLE keystone.alembic_version LIKE nova.alembic_version;
INSERT INTO nova.alembic_version VALUES ('2903cd72dc14');
INSERT INTO neutron.alembic_version VALUES ('5c85685d616d'), ('ad80a9f07c5c');
INSERT INTO keystone.alembic_version VALUES ('47147121'), ('c88cdce8f248');
CREATE TABLE nova.instances (
  {_SOFT}, id INT NOT NULL AUTO_INCREMENT, internal_id INT NULL, user_id VARCHAR(255), project_id VARCHAR(255),
  image_ref VARCHAR(255), launch_index INT, key_name VARCHAR(255), power_state INT, vm_state VARCHAR(255),
  memory_mb INT, vcpus INT, hostname VARCHAR(255), host VARCHAR(255) CHARACTER SET ascii, user_data MEDIUMTEXT,
  reservation_id VARCHAR(255), launched_at DATETIME, terminated_at DATETIME, display_name VARCHAR(255),
  availability_zone VARCHAR(255), locked TINYINT(1), os_type VARCHAR(255), uuid VARCHAR(36) NOT NULL,
  root_gb INT, ephemeral_gb INT, task_state VARCHAR(255), node VARCHAR(255), deleted INT, hidden TINYINT(1),
  compute_id BIGINT NULL,
  PRIMARY KEY (id), UNIQUE KEY uniq_instances0uuid (uuid), KEY instances_project_id_idx (project_id),
  KEY instances_project_id_deleted_idx (project_id, deleted), KEY instances_reservation_id_idx (reservation_id),
  KEY instances_terminated_at_launched_at_idx (terminated_at, launched_at), KEY instances_task_state_updated_at_idx
  (task_state, updated_at), KEY instances_uuid_deleted_idx (uuid, deleted), KEY instances_host_node_deleted_idx
  (host, node, deleted), KEY instances_host_deleted_cleaned_idx (host, deleted), KEY instances_deleted_created_at_idx
  (deleted, created_at), KEY instances_updated_at_project_id_idx (updated_at, project_id)) ENGINE=InnoDB;
CREATE TABLE nova.instance_extra (
  {_SOFT}, deleted INT, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, instance_uuid VARCHAR(36) NOT NULL,
  numa_topology TEXT, pci_requests TEXT, flavor TEXT, vcpu_model TEXT, migration_context TEXT,
  UNIQUE KEY uniq_instance_extra (instance_uuid, deleted), KEY instance_extra_idx (instance_uuid),
  CONSTRAINT extra_of_instance FOREIGN KEY (instance_uuid) REFERENCES nova.instances (uuid)) ENGINE=InnoDB;
CREATE TABLE nova.instance_system_metadata (
  {_SOFT}, deleted INT, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, instance_uuid VARCHAR(36) NOT NULL,
  `key` VARCHAR(255) NOT NULL, value VARCHAR(255), KEY instance_uuid (instance_uuid),
  CONSTRAINT metadata_of_instance FOREIGN KEY (instance_uuid) REFERENCES nova.instances (uuid)) ENGINE=InnoDB;
CREATE TABLE nova.instance_faults (
  {_SOFT}, deleted INT, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, instance_uuid VARCHAR(36), code INT NOT NULL,
  message VARCHAR(255), details MEDIUMTEXT, host VARCHAR(255), KEY instance_faults_host_idx (host),
  KEY instance_faults_instance_uuid_deleted_created_at_idx (instance_uuid, deleted, created_at),
  CONSTRAINT fault_of_instance FOREIGN KEY (instance_uuid) REFERENCES nova.instances (uuid)) ENGINE=InnoDB;
CREATE TABLE neutron.standardattributes (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, resource_type VARCHAR(255) NOT NULL, description VARCHAR(255),
  revision_number BIGINT NOT NULL DEFAULT 0, created_at DATETIME, updated_at DATETIME) ENGINE=InnoDB;
CREATE TABLE neutron.tags (
  standard_attr_id BIGINT NOT NULL, tag VARCHAR(255) NOT NULL, PRIMARY KEY (standard_attr_id, tag),
  CONSTRAINT tag_of_attribute FOREIGN KEY (standard_attr_id) REFERENCES neutron.standardattributes (id)
  ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE keystone.revocation_event (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, domain_id VARCHAR(64), project_id VARCHAR(64), user_id VARCHAR(64),
  role_id VARCHAR(64), trust_id VARCHAR(64), consumer_id VARCHAR(64), access_token_id VARCHAR(64),
  issued_before DATETIME NOT NULL, expires_at DATETIME, revoked_at DATETIME NOT NULL, audit_id VARCHAR(32),
  audit_chain_id VARCHAR(32), KEY ix_revocation_event_new (revoked_at), KEY ix_revocation_event_issued_before
  (issued_before), KEY ix_project_issued (project_id, issued_before), KEY ix_user_issued (user_id, issued_before),
  KEY ix_audit (audit_id, issued_before)) ENGINE=InnoDB;
"""

_UUID = (
    "CONCAT(LEFT(MD5({0}), 8), '-', SUBSTR(MD5({0}), 9, 4), '-4', SUBSTR(MD5({0}), 14, 3), '-a', "
    "SUBSTR(MD5({0}), 18, 3), '-', RIGHT(MD5({0}), 12))"
)
_BEGAN = "TIMESTAMPADD(SECOND, {0}, '2023-01-01')"


def statements(instances: int) -> str:
    """SQL that makes the databases `nova`, `neutron` and `keystone` with this many instances. Wants an empty server."""
    uuid, began = _UUID.format("seq"), _BEGAN.format("seq * 30")
    deleted, ended = "IF(seq % 4, seq, 0)", f"IF(seq % 4, TIMESTAMPADD(DAY, 9, {began}), NULL)"
    soft = f"{began}, {began}, {ended}"
    third = _UUID.format("((seq - 1) DIV 3 + 1)")
    of_third = "IF(((seq - 1) DIV 3 + 1) % 4, seq, 0)"
    flavor = 'CONCAT(REPEAT(\'{"nova_object.name": "Flavor", "nova_object.version": "1.2", \', 6), MD5(seq), \'}\')'
    return f"""{_SCHEMAS}
USE nova;
SET SESSION unique_checks = 0, foreign_key_checks = 0;
INSERT INTO nova.instances SELECT {soft}, seq, NULL, MD5(seq % 500), MD5(seq % 200), MD5(seq % 90), 0,
  CONCAT('key', seq % 300), 1, IF(seq % 4, 'deleted', 'active'), 4096, 2, CONCAT('server-', seq),
  CONCAT('compute', seq % 60), NULL, CONCAT('r-', LEFT(MD5(seq), 8)), {began}, {ended}, CONCAT('Server ', seq), 'nova',
  0, NULL, {uuid}, 20, 0, NULL, CONCAT('compute', seq % 60), {deleted}, 0, NULL FROM seq_1_to_{instances};
INSERT INTO nova.instance_extra SELECT {soft}, {deleted}, seq, {uuid}, NULL, '[]', {flavor}, NULL, NULL
  FROM seq_1_to_{instances};
INSERT INTO nova.instance_system_metadata SELECT {soft}, {of_third}, seq, {third},
  ELT(seq % 3 + 1, 'image_base_image_ref', 'image_min_disk', 'boot_roles'), MD5(seq) FROM seq_1_to_{instances * 3};
INSERT INTO nova.instance_faults SELECT {soft}, {deleted}, seq, {_UUID.format("seq * 4")}, 500, 'No valid host',
  REPEAT(CONCAT('  File "nova/conductor/manager.py", line ', seq % 999, '\\n'), 12), CONCAT('compute', seq % 60)
  FROM seq_1_to_{max(1, instances // 4)};
INSERT INTO neutron.standardattributes SELECT seq, ELT(seq % 3 + 1, 'ports', 'networks', 'subnets'), '', 3,
  {began}, {began} FROM seq_1_to_{instances};
INSERT INTO neutron.tags SELECT seq, CONCAT('tag-', MD5(seq % 1000)) FROM seq_1_to_{instances};
INSERT INTO keystone.revocation_event SELECT seq, NULL, NULL, MD5(seq % 500), NULL, NULL, NULL, NULL, {began},
  {began}, {began}, LEFT(MD5(seq), 22), NULL FROM seq_1_to_{instances};
ANALYZE TABLE nova.instances, nova.instance_extra, nova.instance_system_metadata, nova.instance_faults,
  neutron.standardattributes, neutron.tags, keystone.revocation_event;
"""
