# Loads dumped schemas and accounts from $dir/dump.tar back. Comes after questions.sh.
# Each schema is dropped and loaded anew, so that running this twice ends the same. System tables are not touched.
# Replication stays on: the cluster's history goes on with every statement, so that no other server can ever join with
# an older state and take it for the same. (With wsrep_on=OFF the history stands still: servers that were away rejoin
# without any transfer and keep their old rows. Tried with three servers of MariaDB 10.11.)
# Nothing is unpacked on this host: every schema goes from the tar straight into the client.
# Expects: variable dir with dump.tar. Exits 0 only when everything was loaded.
set -o pipefail
umask 077
names=$(tar -tf "$dir/dump.tar") || { said databases "what arrived on this host is no tar"; exit 1; }
failed=0
unpack() { tar -xOf "$dir/dump.tar" "$1" | gzip -dc; }
# the server's words for a full disk: 1021 and errno 28, 1114 where a tablespace cannot grow, 1030 from an engine
full() { grep -qaE 'No space left|Errcode: 28|error 28|ERROR (1021|1114)|Disk (got )?full' "$errors"; }

echo '@@loaded'
for file in $names; do
  name=${file%.sql.gz}
  [ "$name" = grants ] && continue
  begun=$(date +%s)
  if { printf -- '-- upgrader: restore-schema %s\nDROP DATABASE IF EXISTS `%s`;\n' "$name" "$name" && unpack "$file"; } | sql >/dev/null; then
    printf '%s\t%s\n' "$name" "$(($(date +%s) - begun))"
  else
    failed=1
    said databases "$name: $(spoken)"
    # a full disk lets nothing else in, and every schema that is still whole is worth more than a dropped one
    full && { said disk-full "$name"; break; }
  fi
done
case " $(printf '%s' "$names" | tr '\n' ' ') " in *' grants.sql.gz '*)
  [ "$failed" = 1 ] || { printf -- '-- upgrader: restore-grants\n' && unpack grants.sql.gz; } | sql >/dev/null || { said grants "$(spoken)"; failed=1; }
esac
ask galera || failed=1
ask heads || failed=1
ask rows || failed=1
ask schemas || failed=1
exit "$failed"
