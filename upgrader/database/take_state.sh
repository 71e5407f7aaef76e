# Writes what is kept outside of the schemas into $dir, for the login user to fetch: OVN's databases, RabbitMQ's
# definitions, kolla-ansible's physical backup of the database. $wanted names them: nb, sb, definitions, physical.
# Prints `NAME<TAB>SHA256` for each file in section @@files. Expects: function engine, variables dir, wanted and age
# (seconds since the physical backup was asked for). What is not on this host is passed over in silence: a follower's
# copy of an OVN database may lag, so only its leader gives one, and of several database hosts one has the backup.
set -o pipefail
umask 077
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
owner=$(stat -c %u:%g "$dir") || exit 1

given() { chown "$owner" "$dir/$1" && printf '%s\t%s\n' "$1" "$(sha256sum <"$dir/$1" | cut -d' ' -f1)"; }

keep() { # NAME PART BEGINS COMMAND…: the output of a command, compressed; it has to begin with BEGINS
  local name=$1 part=$2 begins=$3
  shift 3
  : >"$errors"
  if "$@" 2>>"$errors" </dev/null | gzip -3 >"$dir/$name" 2>>"$errors" &&
      [ "$(gzip -dc "$dir/$name" 2>>"$errors" | head -c "${#begins}")" = "$begins" ]; then
    given "$name"
  else
    rm -f "$dir/$name"
    if grep -qi 'no space left' "$errors"; then said "$part" "no space left on this host in $dir"
    else said "$part" "$(tail -n 3 "$errors" | grep . || echo "what came is not what it should be")"; fi
  fi
}

# one server of an OVN database; sockets: openstack/kolla-ansible@21.3.0:ansible/roles/ovn-db/tasks/bootstrap-db.yml.
# By its own socket a follower gives a backup too, whatever --leader-only says (ovsdb-client 3.1.0), so it is asked first.
ovn() {
  local role
  role=$(engine exec "ovn_$1_db" ovs-appctl -T 20 -t "/var/run/ovn/ovn$1_db.ctl" cluster/status "$2" 2>/dev/null </dev/null | sed -n 's/^Role: *//p')
  case "$role" in
    ''|leader*) keep "$2.db.gz" "ovn-$1" 'OVSDB ' engine exec "ovn_$1_db" ovsdb-client --timeout=120 backup "unix:/var/run/ovn/ovn$1_db.sock" "$2" ;;
    *) said "ovn-$1" "its server here is $role, not the leader" ;;
  esac
}

# the newest full backup in kolla-ansible's volume, if it is as young as it should be; newer releases make folders there
physical() {
  local volume since found size path room words
  volume=$(engine volume inspect --format '{{.Mountpoint}}' mariadb_backup 2>"$errors") || return
  since=$(($(date +%s) - age - 2))
  found=$(find "$volume" -type f -name 'mysqlbackup-*.gz' -newermt "@$since" -printf '%T@\t%s\t%p\n' 2>>"$errors" | sort -n | tail -n 1)
  [ -n "$found" ] || return
  size=$(printf '%s' "$found" | cut -f2)
  path=$(printf '%s' "$found" | cut -f3-)
  room=$(df -PB1 "$dir" | awk 'NR == 2 { print $4 }')
  if [ "$size" -ge "$room" ]; then
    said mariabackup "no space left on this host in $dir: the backup has $size bytes"
  elif words=$(cp --reflink=auto -- "$path" "$dir/mariabackup.xbs.gz" 2>&1); then
    given mariabackup.xbs.gz
  else
    rm -f "$dir/mariabackup.xbs.gz"
    said mariabackup "$words"
  fi
}

echo '@@files'
for one in $wanted; do
  case "$one" in
    nb) ovn nb OVN_Northbound ;;
    sb) ovn sb OVN_Southbound ;;
    definitions) keep definitions.json.gz definitions '{' engine exec rabbitmq rabbitmqctl --silent --timeout 120 export_definitions - ;;
    physical) physical ;;
  esac
done
exit 0
