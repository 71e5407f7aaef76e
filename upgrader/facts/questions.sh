# Questions to a database server, for the scripts of this tool. To be read before them.
# Expects: function engine, variable database_user; the password is the first line of standard input, so that it
# is in no argv. The first line of every question names it.
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
IFS= read -r MYSQL_PWD || true
export MYSQL_PWD

# utf8mb4: the client configuration in the images says utf8 (roles/mariadb/templates/galera.cnf.j2, [client]), which
# has no place for characters of four bytes
mariadb_in() { engine exec -i -e MYSQL_PWD mariadb "$@" --user="$database_user" --default-character-set=utf8mb4; }
# what a program said: of a client only its ERROR line, because it repeats the statement, which may hold data or a hash
spoken() { grep -a '^ERROR' "$errors" | sed "s/ near '.*//" | head -n 1 | grep . || tail -n 3 "$errors"; }
sql() { mariadb_in mariadb --batch --skip-column-names "$@" 2>"$errors"; }

# ask WORD: print section @@WORD with the answer, or a @@failed line
ask() {
  local answer
  echo "@@$1"
  if answer=$("question_${1//-/_}" | sql); then printf '%s\n' "$answer"; else said "$1" "$(spoken)"; return 1; fi
}

question_galera() { cat <<'SQL'
-- upgrader: galera
SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_ready', 'wsrep_local_index', 'wsrep_flow_control_paused');
SELECT 'version', VERSION();
SELECT 'setting', LOWER(variable_name), global_value, global_value_origin FROM information_schema.system_variables
WHERE variable_name IN ('READ_ONLY', 'WSREP_DESYNC', 'WSREP_ON', 'WSREP_REJECT_QUERIES', 'WSREP_OSU_METHOD', 'WSREP_SST_METHOD', 'INNODB_FAST_SHUTDOWN')
ORDER BY variable_name;
SQL
}

question_schemas() { cat <<'SQL'
-- upgrader: schemas
SELECT schema_name FROM information_schema.schemata
WHERE schema_name NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA')
  AND schema_name NOT LIKE '#mysql50#%' ORDER BY schema_name;
SQL
}

question_heads() { cat <<'SQL'
-- upgrader: heads
SET SESSION group_concat_max_len = 1048576;
SET @upgrader = (SELECT GROUP_CONCAT(part SEPARATOR ' UNION ALL ') FROM (
  SELECT CONCAT('SELECT ', QUOTE(table_schema), ', ', QUOTE(table_name), ', COALESCE(',
    IF(table_name = 'alembic_version', 'v.version_num', 'CONCAT(v.repository_id, '':'', v.version)'),
    ', '''') FROM (SELECT 1) AS one LEFT JOIN `', REPLACE(table_schema, '`', '``'), '`.`', table_name, '` AS v ON TRUE') AS part
  FROM information_schema.tables
  WHERE table_name IN ('alembic_version', 'migrate_version') AND table_type = 'BASE TABLE'
    AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA')
) AS parts);
SET @upgrader = COALESCE(@upgrader, 'SELECT 1 FROM DUAL WHERE FALSE');
PREPARE upgrader FROM @upgrader;
EXECUTE upgrader;
SQL
}

# the heads once more, under a name of their own
ask_again() {
  local answer
  echo '@@heads-after'
  if answer=$(question_heads | sql); then printf '%s\n' "$answer"; else said heads-after "$(spoken)"; return 1; fi
}

question_tables() { cat <<'SQL'
-- upgrader: tables
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA')
  AND table_schema NOT LIKE '#mysql50#%' ORDER BY table_schema, table_name;
SQL
}

# where the server itself listens
question_server() { cat <<'SQL'
-- upgrader: server
SELECT COALESCE(NULLIF(@@bind_address, ''), '-'), @@port;
SQL
}

# rows an operator would miss: what the APIs list, not tokens, logs or caches
question_rows() { cat <<'SQL'
-- upgrader: rows
SET SESSION group_concat_max_len = 1048576;
SET @upgrader = (SELECT GROUP_CONCAT(part ORDER BY part SEPARATOR ' UNION ALL ') FROM (
  SELECT CONCAT('SELECT ', QUOTE(table_schema), ', ', QUOTE(table_name), ', COUNT(*) FROM `',
    REPLACE(table_schema, '`', '``'), '`.`', table_name, '`') AS part
  FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND (table_schema, table_name) IN (
    ('keystone', 'user'), ('keystone', 'project'), ('keystone', 'role'), ('keystone', 'assignment'),
    ('keystone', 'service'), ('keystone', 'endpoint'), ('keystone', 'credential'), ('keystone', 'application_credential'),
    ('glance', 'images'), ('glance', 'image_locations'),
    ('placement', 'resource_providers'), ('placement', 'allocations'),
    ('nova_api', 'flavors'), ('nova_api', 'instance_mappings'), ('nova_api', 'cell_mappings'), ('nova_api', 'key_pairs'),
    ('nova', 'instances'), ('nova', 'services'), ('nova', 'compute_nodes'), ('nova_cell0', 'instances'),
    ('neutron', 'networks'), ('neutron', 'subnets'), ('neutron', 'ports'), ('neutron', 'routers'),
    ('neutron', 'floatingips'), ('neutron', 'securitygroups'), ('neutron', 'securitygrouprules'),
    ('cinder', 'volumes'), ('cinder', 'snapshots'), ('cinder', 'backups'), ('cinder', 'volume_types'),
    ('heat', 'stack'), ('barbican', 'secrets'), ('barbican', 'containers'),
    ('octavia', 'load_balancer'), ('octavia', 'amphora'))
) AS parts);
SET @upgrader = COALESCE(@upgrader, 'SELECT 1 FROM DUAL WHERE FALSE');
PREPARE upgrader FROM @upgrader;
EXECUTE upgrader;
SQL
}

# accounts of the services; the server's own are left as they are
question_grant_statements() { cat <<'SQL'
-- upgrader: grant-statements
SELECT CONCAT('SHOW CREATE USER ', QUOTE(user), '@', QUOTE(host), '; SHOW GRANTS FOR ', QUOTE(user), '@', QUOTE(host), ';')
FROM mysql.user
WHERE is_role = 'N' AND user NOT IN ('', 'root', 'mysql', 'mariadb.sys', 'PUBLIC') ORDER BY user, host;
SQL
}

question_keystone_endpoint() { cat <<'SQL'
-- upgrader: keystone-endpoint
SELECT e.url FROM keystone.endpoint AS e JOIN keystone.service AS s ON s.id = e.service_id
WHERE s.type = 'identity' AND e.interface = 'internal' AND e.enabled = 1 ORDER BY e.region_id LIMIT 1;
SQL
}
