# What was written to the services' databases since $since (UTC, `YYYY-MM-DD hh:mm:ss`). Reads only; comes after
# questions.sh. Every kind is a question of its own, so that a table which cannot be read costs one answer, not all.
# Times of creation: columns created_at, deleted_at, updated_at of oslo.db's TimestampMixin, in UTC; Neutron keeps them
# in standardattributes (neutron/db/standard_attr.py).
# A full scan of a table of millions takes seconds; one that takes a minute is given up and told as unknown.
guard='SET SESSION max_statement_time = 60; SET SESSION TRANSACTION READ ONLY;'

# since_then KIND FROM ID NAME TIME WHERE: how many, and the first of them
since_then() {
  local answer condition="$5 > '$since' AND $6"
  echo "@@since-$1"
  if answer=$(printf -- '-- upgrader: since %s %s\n%s\n%s\n%s\n' "$1" "$since" "$guard" \
      "SELECT 'count', COUNT(*) FROM $2 WHERE $condition;" \
      "SELECT 'row', $3, COALESCE($4, ''), $5 FROM $2 WHERE $condition ORDER BY $5, $3 LIMIT 5;" | sql); then
    printf '%s\n' "$answer"
  else
    said "since-$1" "$(spoken)"
  fi
}

# networking KIND TABLE NAME: Neutron's resources
networking() {
  since_then "$1" "neutron.$2 AS t JOIN neutron.standardattributes AS s ON s.id = t.standard_attr_id" t.id "t.$3" \
    s.created_at TRUE
}

ask rows
ask schemas
since_then instances nova.instances uuid display_name created_at 'deleted = 0'
since_then instances-deleted nova.instances uuid display_name deleted_at "created_at <= '$since'"
since_then instances-changed nova.instances uuid display_name updated_at "deleted = 0 AND created_at <= '$since'"
since_then volumes cinder.volumes id display_name created_at 'deleted = 0'
since_then volumes-deleted cinder.volumes id display_name deleted_at "created_at <= '$since'"
since_then volumes-changed cinder.volumes id display_name updated_at "deleted = 0 AND created_at <= '$since'"
since_then snapshots cinder.snapshots id display_name created_at 'deleted = 0'
since_then backups cinder.backups id display_name created_at 'deleted = 0'
since_then images glance.images id name created_at 'deleted = 0'
since_then images-deleted glance.images id name deleted_at "created_at <= '$since'"
since_then images-changed glance.images id name updated_at "deleted = 0 AND created_at <= '$since'"
networking networks networks name
networking subnets subnets name
networking ports ports name
networking routers routers name
networking floating-ips floatingips floating_ip_address
networking security-groups securitygroups name
since_then networking-changed neutron.standardattributes id resource_type updated_at "created_at <= '$since'"
since_then users 'keystone.user AS t LEFT JOIN keystone.local_user AS n ON n.user_id = t.id' t.id n.name t.created_at TRUE
since_then passwords 'keystone.password AS t JOIN keystone.local_user AS n ON n.id = t.local_user_id' n.user_id n.name t.created_at TRUE
since_then revocations keystone.revocation_event id "''" revoked_at TRUE
since_then stacks heat.stack id name created_at 'deleted_at IS NULL'
since_then stacks-deleted heat.stack id name deleted_at "created_at <= '$since'"
since_then load-balancers octavia.load_balancer id name created_at "provisioning_status <> 'DELETED'"
since_then secrets barbican.secrets id name created_at 'deleted = 0'
since_then allocations placement.allocations id consumer_id created_at TRUE
since_then allocations-changed placement.allocations id consumer_id updated_at "created_at <= '$since'"
since_then instance-mappings nova_api.instance_mappings instance_uuid "''" created_at TRUE
since_then flavors nova_api.flavors flavorid name created_at TRUE
since_then failed-instances nova_cell0.instances uuid display_name created_at 'deleted = 0'
