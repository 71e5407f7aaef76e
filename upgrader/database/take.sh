# Asks a database server about itself and dumps service schemas and accounts into $dir, which exists and is private.
# Comes after questions.sh. Prints sections; a schema counts only when its dump is closed by its trailer and reads back.
# Expects: variables dir, wanted (`` only look · `grants` the accounts · `schemas` the accounts and every schema) and
# zstd (`yes` where the machine that keeps the set reads it). Exits 0 only when all that was wanted was dumped.
set -o pipefail
umask 077
failed=0
ask galera || failed=1
ask heads || failed=1
ask rows || failed=1
ask tables || failed=1
ask keystone-endpoint
[ -n "$wanted" ] || exit "$failed"
ask server || true

owner=$(stat -c %u:%g "$dir") || exit 1
squeeze='gzip -3' ends=gz spread='gzip -dc'
if [ "$zstd" = yes ] && command -v zstd >/dev/null 2>&1; then
  squeeze='zstd -3 -q -T0' ends=zst spread='zstd -dcq'
elif command -v pigz >/dev/null 2>&1; then
  squeeze='pigz -3 -p 2'
fi
rm -f "$dir"/*.gz "$dir"/*.zst "$dir"/*.part

# why WHAT RC: a full disk is named as one, whoever met it first; its words may not even have found room themselves
why() {
  local room
  room=$(df -Pk "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }')
  if grep -qi 'no space left' "$errors" || [ "${room:-9999}" -lt 1024 ]; then
    said "$1" "no space left on this host in $dir"
  else
    said "$1" "$3$(spoken | grep . || echo "it ended with exit code $2")"
  fi
}

ask schemas || failed=1
schemas=$(question_schemas | sql)
set -f; IFS=$'\n'
for schema in $schemas; do
  case "$schema" in ''|*[!A-Za-z0-9_-]*|grants|mydumper)
    said databases "the schema name '$schema' cannot be a file name"; failed=1 ;;
  esac
done
set +f; unset IFS
[ "$failed" = 0 ] || exit 1
[ "$wanted" = schemas ] || schemas=

echo '@@files'
for schema in $schemas; do
  file="$dir/$schema.sql.$ends"
  : >"$errors"
  mariadb_in mariadb-dump --single-transaction --quick --routines --triggers --events --hex-blob --databases "$schema" \
    2>>"$errors" | eval "$squeeze" >"$file.part" 2>>"$errors"
  rc=$?
  if [ "$rc" = 0 ]; then
    case "$(eval "$spread" <"$file.part" 2>>"$errors" | tail -n 5 | grep -v '^$' | tail -n 1)" in
      '-- Dump completed'*) mv "$file.part" "$file"; printf '%s\t%s\n' "$schema.sql.$ends" "$(sha256sum <"$file" | cut -d' ' -f1)" ;;
      *) said databases "the dump of $schema has no end"; failed=1; break ;;
    esac
  else
    why databases "$rc" "$schema: "; failed=1; break
  fi
done

# CREATE OR REPLACE, so that putting the accounts back gives exactly these, whatever became of them
: >"$errors"
if statements=$(question_grant_statements | sql --raw) &&
    { printf -- '-- upgrader: grants\n'; printf '%s\n' "$statements"; } | sql --raw |
      sed -n -e 's/^CREATE USER /CREATE OR REPLACE USER /' -e 's/;*$/;/' -e '/^[A-Z]/p' |
      eval "$squeeze" >"$dir/grants.part" 2>>"$errors"; then
  mv "$dir/grants.part" "$dir/grants.sql.$ends"
  printf '%s\t%s\n' "grants.sql.$ends" "$(sha256sum <"$dir/grants.sql.$ends" | cut -d' ' -f1)"
else
  why grants "$?" ''; failed=1
fi

# whether anything moved meanwhile: a migration beside the dump makes it one of no release at all
[ "$wanted" = grants ] || ask_again || failed=1

# one file to fetch; it goes to the login user, because fetching with raised rights reads files into memory whole
[ "$failed" = 0 ] || exit 1
: >"$errors"
(cd "$dir" && tar --remove-files -cf dump.tar -- *.sql.*) 2>>"$errors" && chown "$owner" "$dir/dump.tar" || { why databases 1 ''; exit 1; }
