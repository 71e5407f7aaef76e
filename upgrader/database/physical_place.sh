# Puts the prepared copy from volume $copy into the data folder of this host's database server, which stands still, as
# all others do. What lies there goes into the copy's volume, and nothing of it is deleted. Both are of one file system,
# so that nothing is copied; may be done again after any interruption.
# Expects: function engine; variables copy, sha.
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-600)"; }
stop() { said place "$1"; exit 1; }
place() { engine volume inspect --format '{{.Mountpoint}}' "$1" 2>/dev/null; }
from=$(place "$copy")
[ -d "$from" ] || stop "volume $copy with the prepared copy is gone"
done_with() { printf '%s %s\n' "$1" "$sha" >"$from/step.part" && sync -f "$from" && mv "$from/step.part" "$from/upgrader-step" && sync -f "$from" || stop "$from cannot be written"; }
step=$(cat "$from/upgrader-step" 2>/dev/null)
[ "$step" != "placed $sha" ] || exit 0
case $step in "tried $sha" | "aside $sha") ;; *) stop "the copy in volume $copy is not ready: ${step:-no step of it was done}" ;; esac
mount=$(engine inspect --type container --format '{{range .Mounts}}{{if eq .Destination "/var/lib/mysql"}}{{.Type}} {{.Name}}{{end}}{{end}}' mariadb) ||
  stop 'its container of the database server cannot be looked at'
[ "$mount" = 'volume mariadb' ] || stop "its data folder is not the volume mariadb (${mount:-no volume}): this has to be done by hand"
to=$(place mariadb)
[ -d "$to" ] || stop 'volume mariadb is not a folder of this host'
[ "$(stat -c %d "$from")" = "$(stat -c %d "$to")" ] || stop "$from and $to are on two file systems: nothing is copied"
if [ "$step" != "aside $sha" ]; then
  mkdir -p -m 0700 "$from/aside" || stop "$from cannot be written"
  find "$to" -mindepth 1 -maxdepth 1 -exec mv -n -t "$from/aside" -- {} + || stop "what lies in $to could not be moved to $from/aside"
  [ -z "$(ls -A "$to")" ] || stop "something of the same name is in $from/aside already"
  done_with aside
fi
find "$from/data" -mindepth 1 -maxdepth 1 -exec mv -n -t "$to" -- {} + || stop "the copy could not be moved to $to"
[ -z "$(ls -A "$from/data")" ] || stop "something of the same name is in $to already"
# where its data stand in a cluster's history is another cluster's history: whoever joins has to take all of it over
rm -f -- "$to/grastate.dat" "$to/gvwstate.dat" "$to/galera.cache" || stop "$to cannot be written"
chown --reference="$from/data" "$to" && chmod --reference="$from/data" "$to" || stop "$to cannot be given to the server"
sync -f "$to"
done_with placed
