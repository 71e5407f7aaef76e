# Takes this host's $store (mariadb, rabbitmq) away so that one of an older series can be made: its container goes, its
# data are kept in volume $kept, and the volume that the role of kolla-ansible looks for is gone, which is how it knows a
# new cluster (roles/mariadb/tasks/lookup_cluster.yml, roles/rabbitmq/tasks/bootstrap.yml). May be done again after any
# interruption: data are moved name by name, and only a mark at the end says that all of them are there.
# Expects: function engine, variables host_root, kept, store, data (its folder in the container). Prints where they are.
stop() { printf '@@failed rebuild %s\n' "$(printf '%s' "$1" | tr '\r\n' '  ' | cut -c1-400)"; exit 1; }
place() { engine volume inspect --format '{{.Mountpoint}}' "$1" 2>/dev/null; }
mark=upgrader-kept-whole

if engine inspect --type container --format '{{.Name}}' "$store" >/dev/null 2>&1; then
  mount=$(engine inspect --type container --format '{{range .Mounts}}{{if eq .Destination "'"$data"'"}}{{.Type}} {{.Name}}{{end}}{{end}}' "$store") || stop "its container cannot be looked at"
  [ "$mount" = "volume $store" ] || stop "its data folder is not the volume $store (${mount:-no volume}): this has to be done by hand"
  # the unit would start it again behind our back; hosts of a sandbox are folders, the systemd beside them is another's
  if [ -z "$host_root" ] && [ -f "/etc/systemd/system/kolla-$store-container.service" ]; then
    systemctl stop "kolla-$store-container.service" || stop "the unit of its container does not stop"
  fi
  engine stop "$store" >/dev/null 2>&1
  engine rm -f "$store" >/dev/null || stop "its container cannot be removed"
fi
from=$(place "$store")
to=$(place "$kept")
if [ -z "$to" ]; then
  [ -n "$from" ] || { echo '@@kept'; exit 0; } # this host never had one
  engine volume create "$kept" >/dev/null || stop "volume $kept cannot be made"
  to=$(place "$kept")
fi
[ -d "$to" ] || stop "volume $kept is not a folder of this host"
if [ ! -e "$to/$mark" ] && [ -n "$from" ]; then
  [ "$(stat -c %d "$from")" = "$(stat -c %d "$to")" ] || stop "$from and $to are on two file systems: nothing is copied"
  find "$from" -mindepth 1 -maxdepth 1 -exec mv -n -t "$to" -- {} + || stop "data could not be moved to $to"
  [ -z "$(ls -A "$from")" ] || stop "something of the same name is in $to already"
  : >"$to/$mark" && sync -f "$to/$mark" || stop "$to cannot be written"
fi
# what lies there now is nothing, or what an interrupted attempt of this began to make
if [ -n "$(place "$store")" ]; then
  engine volume rm "$store" >/dev/null || stop "volume $store cannot be removed"
fi
echo '@@kept'
printf '%s\n' "$to"
