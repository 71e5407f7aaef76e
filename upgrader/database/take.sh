# Dumps the service schemas and their accounts into $dir, which exists and is private. Comes after questions.sh.
# Prints sections; a schema counts only when its dump is closed by its trailer and reads back through gzip.
# Expects: variables dir and wanted (empty: only look, kolla-ansible's own backup takes the data). Exits 0 only when
# every schema and the accounts were dumped.
set -o pipefail
umask 077
failed=0
ask galera || failed=1
ask heads || failed=1
ask rows || failed=1
ask keystone-endpoint
[ -n "$wanted" ] || exit "$failed"

owner=$(stat -c %u:%g "$dir") || exit 1
squeeze=gzip
command -v pigz >/dev/null 2>&1 && squeeze='pigz -p 2'
rm -f "$dir"/*.gz "$dir"/*.part

ask schemas || failed=1
schemas=$(question_schemas | sql)

echo '@@files'
for schema in $schemas; do
  case "$schema" in *[!A-Za-z0-9_-]*) said databases "the schema name '$schema' cannot be a file name"; failed=1; continue ;; esac
  file="$dir/$schema.sql.gz"
  if mariadb_in mariadb-dump --single-transaction --quick --routines --triggers --events --hex-blob --databases "$schema" \
      2>"$errors" | $squeeze -3 >"$file.part"; then
    case "$(gzip -dc "$file.part" | tail -n 5 | grep -v '^$' | tail -n 1)" in
      '-- Dump completed'*) mv "$file.part" "$file"; printf '%s\t%s\n' "$schema.sql.gz" "$(sha256sum <"$file" | cut -d' ' -f1)" ;;
      *) said "databases" "the dump of $schema has no end"; failed=1 ;;
    esac
  else
    said "databases" "$schema: $(spoken)"; failed=1
  fi
done

# CREATE OR REPLACE, so that putting the accounts back gives exactly these, whatever became of them
if statements=$(question_grant_statements | sql --raw) &&
    { printf -- '-- upgrader: grants\n'; printf '%s\n' "$statements"; } | sql --raw |
      sed -n -e 's/^CREATE USER /CREATE OR REPLACE USER /' -e 's/;*$/;/' -e '/^[A-Z]/p' | gzip -3 >"$dir/grants.part"; then
  mv "$dir/grants.part" "$dir/grants.sql.gz"
  printf '%s\t%s\n' grants.sql.gz "$(sha256sum <"$dir/grants.sql.gz" | cut -d' ' -f1)"
else
  said grants "$(spoken)"; failed=1
fi

# one file to fetch; it goes to the login user, because fetching with raised rights reads files into memory whole
[ "$failed" = 0 ] || exit 1
tar -C "$dir" --remove-files -cf "$dir/dump.tar" -- $(cd "$dir" && ls -- *.sql.gz) && chown "$owner" "$dir/dump.tar"
