-- Tables of services with the columns that records.sh asks for and a few beside them, as in openstack/nova 27.1.0
-- (2023.1), cinder 22.1.0, neutron 22.2.1, ironic 21.4.4, octavia 12.0.0, magnum 16.0.0. The rows are made up.
CREATE DATABASE nova CHARACTER SET utf8; CREATE DATABASE nova_api CHARACTER SET utf8; CREATE DATABASE nova_cell0 CHARACTER SET utf8;
USE nova;
CREATE TABLE services (created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INT AUTO_INCREMENT PRIMARY KEY,
  host VARCHAR(255), `binary` VARCHAR(255), topic VARCHAR(255), report_count INT NOT NULL DEFAULT 0, disabled TINYINT(1) DEFAULT 0,
  deleted INT DEFAULT 0, disabled_reason VARCHAR(255), last_seen_up DATETIME, forced_down TINYINT(1) DEFAULT 0, version INT, uuid VARCHAR(36));
CREATE TABLE nova_cell0.services LIKE services;
INSERT INTO services (created_at, host, `binary`, last_seen_up, disabled, deleted, forced_down, version) VALUES
  ('2020-01-01', 'ctl1', 'nova-conductor', UTC_TIMESTAMP(), 0, 0, 0, 66),
  ('2020-01-01', 'ctl1', 'nova-osapi_compute', NULL, 0, 0, 0, 50),
  ('2020-01-01', 'cmp1', 'nova-compute', UTC_TIMESTAMP() - INTERVAL 10 SECOND, 0, 0, 0, 66),
  ('2020-01-01', 'cmp2', 'nova-compute', UTC_TIMESTAMP() - INTERVAL 300 SECOND, 0, 0, 0, 64),
  ('2020-01-01', 'cmp3', 'nova-compute', UTC_TIMESTAMP() - INTERVAL 300 SECOND, 1, 0, 1, 60),
  ('2020-01-01', 'cmp4', 'nova-compute', NULL, 0, 4, 0, 40),
  ('2020-01-01', CONCAT('odd\t\n@read', CHAR(27), '[31m'), 'nova-compute', UTC_TIMESTAMP(), 0, 0, 0, 66);
UPDATE services SET disabled_reason = 'upgrader: 2023.1 to 2023.2' WHERE host = 'cmp3';
INSERT INTO nova_cell0.services (created_at, host, `binary`, last_seen_up) VALUES (UTC_TIMESTAMP() - INTERVAL 2 DAY, 'ctl2', 'nova-scheduler', NULL);
CREATE TABLE compute_nodes (id INT, hypervisor_type MEDIUMTEXT NOT NULL, deleted INT, cpu_allocation_ratio FLOAT, ram_allocation_ratio FLOAT, disk_allocation_ratio FLOAT);
INSERT INTO compute_nodes VALUES (1, 'QEMU', 0, 4, 1, 1), (2, 'QEMU', 0, 0, 1, 1), (3, 'VMware vCenter Server', 3, NULL, NULL, NULL);
CREATE TABLE instances (id INT AUTO_INCREMENT PRIMARY KEY, created_at DATETIME, host VARCHAR(255), node VARCHAR(255),
  availability_zone VARCHAR(255), deleted INT, KEY instances_deleted_created_at_idx (deleted, created_at));
INSERT INTO instances (host, node, availability_zone, deleted) VALUES ('cmp1', 'cmp1', 'nova', 0), ('cmp1', 'cmp1', NULL, 0),
  (NULL, NULL, NULL, 0), ('cmp1', 'cmp1', NULL, 4), ('cmp1', 'cmp1', 'nova', 5);
CREATE TABLE migrations (id INT, uuid VARCHAR(36), deleted INT); INSERT INTO migrations VALUES (1, NULL, 1), (2, 'u', 0);
CREATE TABLE block_device_mapping (id INT, uuid VARCHAR(36)); INSERT INTO block_device_mapping VALUES (1, NULL), (2, NULL);
CREATE TABLE pci_devices (id INT, uuid VARCHAR(36));
CREATE TABLE quotas (id INT, deleted INT); CREATE TABLE project_user_quotas LIKE quotas; CREATE TABLE quota_classes LIKE quotas;
CREATE TABLE nova_api.instance_mappings (id INT, user_id VARCHAR(255), project_id VARCHAR(255), cell_id INT, queued_for_delete TINYINT(1));
INSERT INTO nova_api.instance_mappings VALUES (1, NULL, '00000000-0000-0000-0000-000000000000', 2, 0), (2, NULL, 'p', NULL, NULL), (3, NULL, 'p', 2, 0);
CREATE DATABASE neutron; USE neutron;
CREATE TABLE agents (id VARCHAR(36), agent_type VARCHAR(255), `binary` VARCHAR(255), host VARCHAR(255), admin_state_up TINYINT(1), heartbeat_timestamp DATETIME);
INSERT INTO agents VALUES (1, 'L3 agent', 'neutron-l3-agent', 'ctl1', 1, UTC_TIMESTAMP() - INTERVAL 10 SECOND),
  (2, 'DHCP agent', 'neutron-dhcp-agent', 'ctl1', 1, UTC_TIMESTAMP() - INTERVAL 300 SECOND), (3, 'L3 agent', 'neutron-l3-agent', 'ctl2', 0, '2020-01-01');
CREATE TABLE ml2_port_bindings (port_id VARCHAR(36), vif_type VARCHAR(64));
INSERT INTO ml2_port_bindings VALUES (1, 'ovs'), (2, 'ovs'), (3, 'bridge'), (4, 'unbound'), (5, 'binding_failed');
CREATE DATABASE cinder; USE cinder;
CREATE TABLE services (created_at DATETIME, updated_at DATETIME, deleted TINYINT(1), host VARCHAR(255), `binary` VARCHAR(255), disabled TINYINT(1));
INSERT INTO services VALUES (NULL, UTC_TIMESTAMP(), 0, 'sto1@rbd-1', 'cinder-volume', 0), (NULL, '2020-01-01', 0, 'sto2@lvm-1', 'cinder-volume', 0),
  (NULL, '2020-01-01', 1, 'sto3@nfs-1', 'cinder-volume', 0), (NULL, '2020-01-01', 0, 'ctl1', 'cinder-scheduler', 1);
CREATE TABLE volumes (id VARCHAR(36), deleted TINYINT(1), use_quota TINYINT(1)); INSERT INTO volumes VALUES (1, 0, NULL), (2, 1, NULL), (3, 0, 1);
CREATE TABLE snapshots LIKE volumes;
CREATE TABLE volume_admin_metadata (id INT, deleted TINYINT(1), `key` VARCHAR(255)); INSERT INTO volume_admin_metadata VALUES (1, 0, 'temporary'), (2, 0, 'readonly');
CREATE DATABASE ironic; USE ironic;
CREATE TABLE nodes (uuid VARCHAR(36), driver VARCHAR(255), provision_state VARCHAR(15), inspect_interface VARCHAR(255), management_interface VARCHAR(255));
INSERT INTO nodes VALUES ('n1', 'idrac', 'clean wait', 'inspector', 'idrac-wsman'), ('n2', 'ipmi', 'active', NULL, 'ipmitool'), ('n3', 'ipmi', 'wait call-back', NULL, 'ipmitool'), ('n4', 'ipmi', NULL, NULL, NULL);
CREATE DATABASE heat; CREATE TABLE heat.stack (status VARCHAR(255), deleted_at DATETIME);
INSERT INTO heat.stack VALUES ('IN_PROGRESS', NULL), ('IN_PROGRESS', '2020-01-01'), ('COMPLETE', NULL);
CREATE DATABASE octavia; USE octavia; CREATE TABLE load_balancer (provider VARCHAR(64), provisioning_status VARCHAR(16));
INSERT INTO load_balancer VALUES ('amphora', 'ACTIVE'), ('amphorav1', 'PENDING_UPDATE'); CREATE TABLE listener (protocol VARCHAR(16)); INSERT INTO listener VALUES ('UDP');
CREATE DATABASE magnum; USE magnum; CREATE TABLE cluster (cluster_template_id VARCHAR(255));
CREATE TABLE cluster_template (uuid VARCHAR(36), coe VARCHAR(20), server_type VARCHAR(20), cluster_distro VARCHAR(20));
INSERT INTO cluster VALUES ('t1'); INSERT INTO cluster_template VALUES ('t1', 'kubernetes', 'vm', 'fedora-coreos'), ('t2', 'swarm', 'vm', 'fedora-atomic');
