# Takes production's addresses out of databases that were loaded on a staging cloud. Comes after questions.sh.
# Expects: word (keep, rewrite, drop), address (staging's own), staying (an expression: hosts that may stay).
# keep: puts staging's own cell mappings of Nova aside, unless they are aside already from an earlier try. rewrite: gives
# them back by name, points every address in columns of URLs to staging, and counts what remains. drop: cleans up.
set -o pipefail
tab=$(printf '\t')

url_columns() { sql <<'SQL'
-- upgrader: staging-columns
SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns AS c
JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE'
  AND c.table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'PERCONA_SCHEMA', 'upgrader_staging')
  AND c.data_type IN ('varchar', 'char', 'text', 'tinytext', 'mediumtext', 'longtext')
  AND (c.column_name REGEXP '(url|uri|connection|endpoint|href|address_of|transport)'
       OR (c.table_name = 'image_locations' AND c.column_name = 'value'))
  AND c.generation_expression IS NULL
ORDER BY 1, 2, 3;
SQL
}

# a host is left between :// or a comma and the path, after the hosts that may stay are taken out
foreign=$(cat <<'SQL'
@COLUMN@ LIKE '%://%' AND REGEXP_REPLACE(@COLUMN@, '(://|,)([^/@,[:space:]]*@)?(127\\.[0-9.]+|localhost|\\[::1\\]|@STAYING@)(:[0-9]*)?(?=[/,?#]|$)', '\\1') REGEXP '://[^/?#]*[^/?#,]'
SQL
)
update=$(cat <<'SQL'
UPDATE IGNORE @TABLE@ SET @COLUMN@ = REGEXP_REPLACE(@COLUMN@, '(://|,)([^/@,[:space:]]*@)?(\\[[^]]*\\]|[^/:,@?#[:space:]]+)', '\\1\\2@ADDRESS@') WHERE @FOREIGN@;
SELECT '@NAME@', ROW_COUNT();
SQL
)
count="SELECT '@NAME@', COUNT(*) FROM @TABLE@ WHERE @FOREIGN@;"
cells=$(cat <<'SQL'
UPDATE nova_api.cell_mappings AS c JOIN upgrader_staging.cell_mappings AS s
  ON s.name = c.name OR (s.uuid = c.uuid AND c.uuid = '00000000-0000-0000-0000-000000000000')
  SET c.transport_url = s.transport_url, c.database_connection = s.database_connection;
SQL
)
# a row that is not, letter by letter, one that staging had itself leads to another cloud
foreign_cells=$(cat <<'SQL'
SELECT 'nova_api.cell_mappings', COUNT(*) FROM nova_api.cell_mappings AS c WHERE NOT EXISTS (
  SELECT 1 FROM upgrader_staging.cell_mappings AS s
  WHERE s.transport_url = c.transport_url AND s.database_connection = c.database_connection);
SQL
)

# each TEMPLATE: the statement for every column of URLs; Nova's cells are never bent to fit
each() {
  local schema table column text
  printf '%s\n' "$columns" | while IFS=$tab read -r schema table column; do
    [ -n "$column" ] && [ "$schema.$table" != nova_api.cell_mappings ] || continue
    text=${1//@FOREIGN@/"$foreign"}
    text=${text//@TABLE@/"\`$schema\`.\`$table\`"}
    text=${text//@COLUMN@/"\`$column\`"}
    text=${text//@NAME@/"$schema.$table.$column"}
    text=${text//@STAYING@/"$staying"}
    printf '%s\n' "${text//@ADDRESS@/"$address"}"
  done
}

ask_columns() {
  columns=$(url_columns) || { said "$word" "$(spoken)"; exit 1; }
  case "$columns" in *[\`\'\\]*) said "$word" "a column has a name that cannot be quoted"; exit 1 ;; esac
  with_cells=no
  printf '%s\n' "$columns" | grep -q "^nova_api${tab}cell_mappings${tab}" && with_cells=yes
  return 0
}

keep() {
  echo '@@cells'
  [ "$with_cells" = yes ] || return 0
  sql <<'SQL'
-- upgrader: staging-keep
CREATE DATABASE IF NOT EXISTS upgrader_staging;
CREATE TABLE IF NOT EXISTS upgrader_staging.cell_mappings LIKE nova_api.cell_mappings;
INSERT INTO upgrader_staging.cell_mappings SELECT * FROM nova_api.cell_mappings
  WHERE NOT EXISTS (SELECT 1 FROM upgrader_staging.cell_mappings);
SELECT name FROM upgrader_staging.cell_mappings ORDER BY name;
SQL
}

rewrite() {
  echo '@@rewritten'
  {
    printf -- '-- upgrader: staging-rewrite %s\n' "$address"
    [ "$with_cells" = yes ] && printf '%s\n' "$cells"
    each "$update"
  } | sql || return 1
  echo '@@remaining'
  {
    printf -- '-- upgrader: staging-remaining %s\n' "$address"
    [ "$with_cells" = yes ] && printf '%s\n' "$foreign_cells"
    each "$count"
  } | sql
}

drop() { printf -- '-- upgrader: staging-drop\nDROP DATABASE IF EXISTS upgrader_staging;\n' | sql; }

ask_columns
"$word" || { said "$word" "$(spoken)"; exit 1; }
