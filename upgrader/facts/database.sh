# Asks one database server for its Galera state and the version tables. Changes nothing, always exits 0.
# Expects: function engine, variable database_user; the password comes on standard input, so that it is in no argv.
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
IFS= read -r MYSQL_PWD || true
export MYSQL_PWD
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
sql() { engine exec -i -e MYSQL_PWD mariadb mariadb --user="$database_user" --batch --skip-column-names 2>"$errors"; }

echo '@@galera'
answer=$(sql <<'SQL'
-- upgrader: galera
SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_ready');
SELECT 'version', VERSION();
SQL
) || said galera "$(cat "$errors")"
printf '%s\n' "$answer"

echo '@@heads'
answer=$(sql <<'SQL'
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
) || said heads "$(cat "$errors")"
printf '%s\n' "$answer"
exit 0
