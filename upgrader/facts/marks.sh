# What migration scripts leave in a schema: a script that was interrupted shows there, not in the version rows.
# Comes after questions.sh. The names are those of the release graph (schema_marks.toml, tables and columns).
question_marks() { cat <<'SQL'
-- upgrader: marks
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA')
  AND table_name IN (
    'amphora', 'amphora_member_port', 'assignment', 'block_device_mapping', 'build_requests', 'cached_images',
    'cell_mappings', 'console_auth_tokens', 'consumer_types', 'evpn_l3_instances', 'evpn_networks',
    'host_mappings', 'image_locations', 'image_properties', 'instance_extra', 'instances', 'kek_data', 'l7policy',
    'listener', 'load_balancer', 'local_user', 'mapping', 'member', 'metadef_namespaces', 'migrations',
    'ml2_port_bindings', 'networkpvlan', 'networks', 'node_reference', 'password', 'porthardwareoffloadtype',
    'porthints', 'portpvlan', 'ports', 'porttrusted', 'raw_template', 'resource_properties_data',
    'resource_provider_traits', 'resource_snapshot', 'router_extra_attributes', 'secret_store_metadata',
    'secrets', 'security_groups_default_statefulness', 'securitygroupdefaultrules', 'shadow_instances',
    'shadow_migrations', 'share_mapping', 'snapshot', 'stack_tag', 'standardattributes', 'subnet_bgp_leak_routes',
    'subnets', 'sync_point', 'vip', 'vip_security_group', 'vlan_allocations', 'vni_allocations',
    'vni_vlan_mapping', 'volume_attachment', 'volume_types', 'volumes'
  )
UNION ALL SELECT table_schema, CONCAT(table_name, '.', column_name) FROM information_schema.columns
WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA')
  AND CONCAT(table_name, '.', column_name) IN (
    'console_auth_tokens.tls_port', 'instances.compute_id', 'listener.hsts_include_subdomains',
    'listener.hsts_max_age', 'listener.hsts_preload', 'mapping.schema_version', 'member.vnic_type',
    'migrations.dest_compute_id', 'networks.qinq', 'router_extra_attributes.enable_default_route_bfd',
    'router_extra_attributes.enable_default_route_ecmp', 'shadow_instances.compute_id',
    'shadow_migrations.dest_compute_id', 'snapshot.action', 'subnets.in_use', 'sync_point.extra_data',
    'vip.vnic_type'
  );
SQL
}
