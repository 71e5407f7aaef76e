# What the services keep in their databases: one question with many parts, asked with the client's --force, so that a
# part that fails costs only itself. Comes after questions.sh.
#
# A part says which columns it reads. Releases differ, so that every part is tried only where information_schema has
# all of them; what is lacking is told instead. Each part is one line of SQL that begins with its name: a client's
# error names the line. A name that ends in /more is one of several sources of the same field.
# Nothing is changed: the session is read only, bounded in time as a whole (whole_seconds) and by statement
# (statement_seconds), and lists and counts end at a limit. Counts go where an index leads, or stop at the limit.

# part NAME 'DATABASE.TABLE COLUMN…[; DATABASE.TABLE COLUMN…]' QUERY: QUERY gives one column named v
part() {
  local name=$1 query=${3//$'\n'/ } lacks='' table column columns
  while read -r table columns; do
    for column in $columns; do
      lacks+="IF(FIND_IN_SET('$table.$column', @have), NULL, '$table.$column'), "
    done
  done <<<"${2//;/$'\n'}"
  query="SELECT '$name' AS name, v FROM ($query) AS part WHERE v IS NOT NULL UNION ALL SELECT '@read', '$name'"
  printf "/* %s */ SET @lacks = CONCAT_WS(' ', %sNULL); " "$name" "$lacks"
  printf "SET @part = IF(@lacks <> '', 'SELECT ''@lacks'', CONCAT(''%s '', @lacks)', IF(SYSDATE() > @ends, 'SELECT ''@late'', ''%s''', '%s')); " \
    "$name" "$name" "${query//\'/\'\'}"
  echo 'PREPARE upgrader FROM @part; EXECUTE upgrader;'
}

# rows PART TABLE COLUMNS CONDITION: how many rows of an unfinished migration there are, named by COLUMN
unfinished() {
  part "$1" "$2" "SELECT IF(COUNT(*) > 0, CONCAT('$3: ', IF(COUNT(*) < 10000, COUNT(*), 'at least 10000')), NULL) AS v
    FROM (SELECT 1 FROM ${2%% *} WHERE $4 LIMIT 10000) AS some"
}

# a service that was silent for longer than this is down: [DEFAULT] service_down_time of nova and cinder, and
# agent_down_time of neutron, as they are by default
silent() { printf '%s > %s' "$(age "$1")" "$2"; }
age() { printf 'TIMESTAMPDIFF(SECOND, %s, UTC_TIMESTAMP())' "$1"; }

question_records() {
  sed "s/STATEMENT_SECONDS/${statement_seconds:-3}/g; s/WHOLE_SECONDS/${whole_seconds:-20}/" <<'SQL'
-- upgrader: records
SET SESSION TRANSACTION READ ONLY;
SET SESSION max_statement_time = STATEMENT_SECONDS; SET SESSION lock_wait_timeout = STATEMENT_SECONDS;
SET SESSION group_concat_max_len = 1048576;
SET @ends = SYSDATE() + INTERVAL WHOLE_SECONDS SECOND;
SELECT '@database', schema_name FROM information_schema.schemata WHERE schema_name IN ('nova', 'nova_api', 'nova_cell0', 'neutron', 'cinder', 'ironic', 'heat', 'octavia', 'magnum');
SET @have = (SELECT GROUP_CONCAT(table_schema, '.', table_name, '.', column_name, IF(is_nullable = 'NO', CONCAT(',', table_schema, '.', table_name, '.', column_name, '!'), '')) FROM information_schema.columns WHERE table_schema IN ('nova', 'nova_api', 'nova_cell0', 'neutron', 'cinder', 'ironic', 'heat', 'octavia', 'magnum') AND table_name IN ('services', 'compute_nodes', 'instances', 'migrations', 'block_device_mapping', 'pci_devices', 'quotas', 'project_user_quotas', 'quota_classes', 'instance_mappings', 'agents', 'ml2_port_bindings', 'volumes', 'snapshots', 'volume_admin_metadata', 'nodes', 'stack', 'load_balancer', 'listener', 'cluster', 'cluster_template'));
SQL
  nova_parts
  nova_migrations
  neutron_parts
  cinder_parts
  ironic_parts
  other_parts
}

# rows of the APIs are there for their version only, they send no heartbeat
# (openstack/nova@33.0.2: nova/api/openstack/compute/services.py)
nova_parts() {
  local database more seen='COALESCE(last_seen_up, created_at)'
  local beating="deleted = 0 AND \`binary\` NOT IN ('nova-osapi_compute', 'nova-metadata')"
  for database in nova nova_cell0; do
    more=${database#nova}; more=${more/_/\/}
    part "nova.services_down$more" "$database.services host binary deleted disabled last_seen_up created_at" \
      "SELECT CONCAT(host, ': ', \`binary\`) AS v FROM $database.services WHERE $beating AND disabled = 0
       AND $(silent "$seen" 60) LIMIT 20000"
    part "nova.silence$more" "$database.services host binary deleted disabled last_seen_up created_at" \
      "SELECT CONCAT_WS(': ', host, \`binary\`, $(age "$seen")) AS v FROM $database.services WHERE $beating AND disabled = 0
       AND $(silent "$seen" 60) LIMIT 20000"
    # the reason that a rolling upgrade gives begins with this tool's name
    part "nova.left_disabled$more" "$database.services host binary deleted disabled disabled_reason" \
      "SELECT CONCAT(host, ': ', \`binary\`) AS v FROM $database.services WHERE $beating AND disabled <> 0
       AND disabled_reason LIKE 'upgrader%' LIMIT 20000"
    part "nova.versions$more" "$database.services host binary version deleted" \
      "SELECT CONCAT_WS(': ', host, \`binary\`, version) AS v FROM $database.services WHERE $beating LIMIT 20000"
    part "nova.services_disabled$more" "$database.services host binary deleted disabled" \
      "SELECT CONCAT(host, ': ', \`binary\`) AS v FROM $database.services WHERE $beating AND disabled <> 0 LIMIT 20000"
  done
  part nova.computes 'nova.services host binary deleted' \
    "SELECT host AS v FROM nova.services WHERE deleted = 0 AND \`binary\` = 'nova-compute' LIMIT 20000"
  part nova.hypervisors 'nova.compute_nodes hypervisor_type deleted' \
    "SELECT DISTINCT LOWER(hypervisor_type) AS v FROM nova.compute_nodes WHERE deleted = 0 LIMIT 100"
  # what nova's own services look at before they start: nova/utils.py, raise_if_old_compute
  part nova.oldest_service_version 'nova.services version binary deleted forced_down' \
    "SELECT MIN(version) AS v FROM nova.services WHERE deleted = 0 AND forced_down = 0 AND \`binary\` = 'nova-compute'"
  part nova.soft_deleted 'nova.instances deleted' \
    "SELECT COUNT(*) AS v FROM (SELECT 1 FROM nova.instances WHERE deleted > 0 LIMIT 100000) AS some"
  part nova.vif_types 'neutron.ml2_port_bindings vif_type' \
    "SELECT DISTINCT vif_type AS v FROM neutron.ml2_port_bindings WHERE vif_type NOT IN ('', 'unbound', 'binding_failed') LIMIT 100"
}

# The list is the same from 2023.1 to 2026.1, but for instances.compute_id, which came with 2023.2
# (online_migrations in nova/cmd/manage.py, openstack/nova 27.1.0, 28.3.1, 29.4.0, 30.3.0, 31.0.0, 32.2.1, 33.0.2).
# Not counted: fill_virtual_interface_list, which keeps a marker instead of marking rows. Of instances those are
# counted that live and have a host: for the others nova itself finds nothing to write.
nova_migrations() {
  local lives="deleted = 0 AND host IS NOT NULL"
  unfinished nova.unmigrated/quotas 'nova.quotas deleted' quotas 'deleted = 0'
  unfinished nova.unmigrated/user_quotas 'nova.project_user_quotas deleted' project_user_quotas 'deleted = 0'
  unfinished nova.unmigrated/classes 'nova.quota_classes deleted' quota_classes 'deleted = 0'
  unfinished nova.unmigrated/migrations 'nova.migrations uuid deleted' migrations.uuid 'uuid IS NULL AND deleted = 0'
  unfinished nova.unmigrated/devices 'nova.block_device_mapping uuid' block_device_mapping.uuid 'uuid IS NULL'
  unfinished nova.unmigrated/zone 'nova.instances availability_zone host deleted' instances.availability_zone \
    "availability_zone IS NULL AND $lives"
  unfinished nova.unmigrated/compute_id 'nova.instances compute_id host node deleted' instances.compute_id \
    "compute_id IS NULL AND node IS NOT NULL AND $lives"
  unfinished nova.unmigrated/ratio \
    'nova.compute_nodes cpu_allocation_ratio ram_allocation_ratio disk_allocation_ratio deleted' \
    compute_nodes.allocation_ratio "deleted = 0 AND (COALESCE(cpu_allocation_ratio, 0) = 0
     OR COALESCE(ram_allocation_ratio, 0) = 0 OR COALESCE(disk_allocation_ratio, 0) = 0)"
  unfinished nova.unmigrated/pci 'nova.pci_devices uuid' pci_devices.uuid 'uuid IS NULL'
  unfinished nova.unmigrated/deleting 'nova_api.instance_mappings queued_for_delete cell_id' \
    instance_mappings.queued_for_delete 'queued_for_delete IS NULL AND cell_id IS NOT NULL'
  # the row with this project is a marker of another migration
  unfinished nova.unmigrated/owner 'nova_api.instance_mappings user_id project_id cell_id' instance_mappings.user_id \
    "user_id IS NULL AND cell_id IS NOT NULL AND project_id <> '00000000-0000-0000-0000-000000000000'"
}

neutron_parts() {
  part neutron.agents_down 'neutron.agents host binary admin_state_up heartbeat_timestamp' \
    "SELECT CONCAT(host, ': ', \`binary\`) AS v FROM neutron.agents
     WHERE admin_state_up = 1 AND $(silent heartbeat_timestamp 75) LIMIT 20000"
  part neutron.silence 'neutron.agents host binary admin_state_up heartbeat_timestamp' \
    "SELECT CONCAT_WS(': ', host, \`binary\`, $(age heartbeat_timestamp)) AS v FROM neutron.agents
     WHERE admin_state_up = 1 AND $(silent heartbeat_timestamp 75) LIMIT 20000"
  part neutron.agent_types 'neutron.agents agent_type' "SELECT DISTINCT agent_type AS v FROM neutron.agents LIMIT 100"
}

# use_quota is filled until 2023.2 and may not be empty from 2024.1 on; temporary admin metadata go from 2024.1 on
# (cinder/cmd/manage.py, openstack/cinder 22.1.0 to 28.0.0; migration 9ab1b092a404). ! is a column that cannot be NULL
cinder_parts() {
  part cinder.services_down 'cinder.services host binary deleted disabled updated_at created_at' \
    "SELECT CONCAT(host, ': ', \`binary\`) AS v FROM cinder.services WHERE deleted = 0 AND disabled = 0
     AND $(silent 'COALESCE(updated_at, created_at)' 60) LIMIT 20000"
  part cinder.silence 'cinder.services host binary deleted disabled updated_at created_at' \
    "SELECT CONCAT_WS(': ', host, \`binary\`, $(age 'COALESCE(updated_at, created_at)')) AS v FROM cinder.services
     WHERE deleted = 0 AND disabled = 0 AND $(silent 'COALESCE(updated_at, created_at)' 60) LIMIT 20000"
  part cinder.backends 'cinder.services host binary deleted' \
    "SELECT DISTINCT SUBSTRING_INDEX(host, '@', -1) AS v FROM cinder.services
     WHERE deleted = 0 AND \`binary\` = 'cinder-volume' AND host LIKE '%@%' LIMIT 1000"
  unfinished cinder.unmigrated/volumes 'cinder.volumes use_quota deleted' volumes.use_quota 'deleted = 0 AND use_quota IS NULL'
  unfinished cinder.unmigrated/snapshots 'cinder.snapshots use_quota deleted' snapshots.use_quota \
    'deleted = 0 AND use_quota IS NULL'
  part cinder.unmigrated/temporary 'cinder.volume_admin_metadata key deleted; cinder.volumes use_quota!' \
    "SELECT IF(COUNT(*) > 0, CONCAT('volume_admin_metadata.temporary: ', COUNT(*)), NULL) AS v FROM
     (SELECT 1 FROM cinder.volume_admin_metadata WHERE \`key\` = 'temporary' AND deleted = 0 LIMIT 10000) AS some"
}

ironic_parts() {
  local kind
  part ironic.nodes 'ironic.nodes uuid' "SELECT COUNT(*) AS v FROM ironic.nodes"
  # what the role waits for before it goes on: a state with the word wait
  # (openstack/kolla-ansible@21.3.0: ansible/roles/ironic/tasks/upgrade.yml)
  part ironic.waiting 'ironic.nodes uuid provision_state' \
    "SELECT CONCAT(uuid, ': ', provision_state) AS v FROM ironic.nodes WHERE CONCAT(' ', provision_state, ' ') LIKE '% wait %' LIMIT 1000"
  part ironic.drivers 'ironic.nodes driver' "SELECT DISTINCT driver AS v FROM ironic.nodes LIMIT 100"
  for kind in bios boot console deploy firmware inspect management network power raid rescue storage vendor; do
    part "ironic.interfaces/$kind" "ironic.nodes ${kind}_interface" \
      "SELECT DISTINCT CONCAT('$kind=', ${kind}_interface) AS v FROM ironic.nodes LIMIT 100"
  done
}

other_parts() {
  part heat.busy 'heat.stack status deleted_at' \
    "SELECT COUNT(*) AS v FROM (SELECT 1 FROM heat.stack WHERE status = 'IN_PROGRESS' AND deleted_at IS NULL LIMIT 10000) AS some"
  part octavia.providers 'octavia.load_balancer provider' \
    "SELECT DISTINCT provider AS v FROM octavia.load_balancer LIMIT 100"
  part octavia.protocols 'octavia.listener protocol' "SELECT DISTINCT protocol AS v FROM octavia.listener LIMIT 100"
  part octavia.busy 'octavia.load_balancer provisioning_status' \
    "SELECT COUNT(*) AS v FROM (SELECT 1 FROM octavia.load_balancer WHERE provisioning_status LIKE 'PENDING%' LIMIT 10000) AS some"
  # a driver serves one server type, distribution and orchestrator; records.py knows their names
  part magnum.drivers 'magnum.cluster cluster_template_id; magnum.cluster_template uuid coe server_type cluster_distro' \
    "SELECT DISTINCT CONCAT(COALESCE(t.coe, ''), '/', COALESCE(t.server_type, ''), '/', COALESCE(t.cluster_distro, '')) AS v
     FROM magnum.cluster AS c JOIN magnum.cluster_template AS t ON t.uuid = c.cluster_template_id LIMIT 100"
  # newer releases let a template name its driver
  part magnum.drivers/named 'magnum.cluster cluster_template_id; magnum.cluster_template uuid coe server_type cluster_distro driver' \
    "SELECT DISTINCT CONCAT('=', COALESCE(t.coe, ''), '/', COALESCE(t.server_type, ''), '/', COALESCE(t.cluster_distro, ''), '/', COALESCE(t.driver, '')) AS v
     FROM magnum.cluster AS c JOIN magnum.cluster_template AS t ON t.uuid = c.cluster_template_id LIMIT 100"
}

# prints section @@records; errors of parts as @@failed records/NAME, any other as @@failed records
ask_records() {
  local text error line name
  text=$(question_records)
  echo '@@records'
  printf '%s\n' "$text" | sql --force || true
  while IFS= read -r error; do
    line=${error#* at line }; line=${line%%:*}; name=''
    case $line in *[!0-9]* | '') ;; *) name=$(printf '%s\n' "$text" | sed -n "${line}s|^/\* \([^ ]*\) \*/.*|\1|p") ;; esac
    said "records${name:+/$name}" "$error"
  done < <(grep -a '^ERROR' "$errors" | sed "s/ near '.*//" | head -n 40)
  [ -s "$errors" ] && ! grep -qa '^ERROR' "$errors" && said records "$(tail -n 3 "$errors")"
  return 0
}
