# Loads dumped schemas and accounts from $dir back. Comes after questions.sh.
# Each schema is dropped and loaded anew, so that running this twice ends the same. System tables are not touched.
# Expects: variable dir with dump.tar. Exits 0 only when everything was loaded.
set -o pipefail
umask 077
tar -C "$dir" -xf "$dir/dump.tar" && rm -f "$dir/dump.tar" || { said databases "the dump cannot be unpacked on this host"; exit 1; }
failed=0
echo '@@loaded'
for file in "$dir"/*.sql.gz; do
  name=$(basename "$file" .sql.gz)
  [ "$name" = grants ] && continue
  begun=$(date +%s)
  if { printf -- '-- upgrader: restore-schema %s\nDROP DATABASE IF EXISTS `%s`;\n' "$name" "$name" && gzip -dc "$file"; } | sql >/dev/null; then
    printf '%s\t%s\n' "$name" "$(($(date +%s) - begun))"
  else
    said databases "$name: $(spoken)"; failed=1
  fi
done
if [ -f "$dir/grants.sql.gz" ]; then
  { printf -- '-- upgrader: restore-grants\n' && gzip -dc "$dir/grants.sql.gz"; } | sql >/dev/null || { said grants "$(spoken)"; failed=1; }
fi
ask galera || failed=1
ask heads || failed=1
ask rows || failed=1
ask schemas || failed=1
exit "$failed"
