# Asks the services on one host, each inside its own container and all at once: function ask_services prints sections.
# Changes nothing: what was not answered is said in a "@@failed" line. A service without a container here is not
# mentioned. Expects: functions engine and limited (the same within so many seconds), host_root (empty on a real host),
# script_NAME for every script of inside/, vip_internal, vip_external, rotation, proxysql_user, proxysql_port, ceph (yes:
# services keep data in it); the next lines of standard input: key for hashes, passwords of ProxySQL's administrator, of
# Redis and of Valkey.
IFS= read -r hash_key; IFS= read -r proxysql_password; IFS= read -r redis_password; IFS= read -r valkey_password

said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
has() { case $'\n'$names$'\n' in *$'\n'"$1"$'\n'*) ;; *) return 1 ;; esac; }

# ask_inside SECTION CONTAINER SECONDS SCRIPT SECRET [WORD…]: feed SCRIPT to the Python in CONTAINER, in the background
ask_inside() {
  local section=$1 container=$2 seconds=$3 script=$4 secret=$5 code=0
  shift 5
  (
    export UPGRADER_SECRET=$secret
    printf '%s\n' "$script" | limited "$seconds" exec -i -e UPGRADER_SECRET "$container" "${python:-python3}" - "$@" \
      >"$answers/$section.out" 2>"$answers/$section.err" || code=$?
    { echo "@@$section"
      if [ "$code" = 0 ]; then head -c 65536 "$answers/$section.out"; echo
      elif [ "$code" = 124 ] || [ "$code" = 137 ]; then said "$section" "no answer within $seconds s"
      else said "$section" "$(tail -n 1 "$answers/$section.err")"; fi
    } >"$answers/$section.said"
  ) &
}

# vip SECTION ADDRESS: whether this host holds the address, and who else answers at it
vip() {
  local held device
  [ -n "$2" ] || return 0
  echo "@@$1"
  echo "address $2"
  # a sandbox's hosts are folders of this machine, whose own addresses mean nothing
  if [ -n "$host_root" ]; then
    awk -v address="$2/" '$3 ~ /^inet/ && index($4, address) == 1 { print "held", $2, $4 }' "$host_root/system" 2>/dev/null
    return 0
  fi
  held=$(ip -o addr show to "$2" 2>/dev/null | awk '{ print "held", $2, $4 }')
  ip -o link show 2>/dev/null | sed -n 's/.*link\/ether \([0-9a-f:]*\).*/mac \1/p'
  if [ -n "$held" ]; then printf '%s\n' "$held"; fi
  case $2 in *:*) return 0 ;; esac  # IPv6 knows no ARP
  if command -v arping >/dev/null && arping -V 2>&1 | grep -qi iputils; then
    if [ -n "$held" ]; then
      # from no address at all: whoever answers holds it as well
      device=$(printf '%s\n' "$held" | awk '{ print $2; exit }')
      timeout 8 arping -D -c 2 -w 3 -I "${device%%@*}" "$2" 2>/dev/null
    else
      device=$(ip -o route get "$2" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p')
      [ -z "$device" ] || timeout 8 arping -c 2 -w 3 -I "$device" "$2" 2>/dev/null
    fi | sed -n 's/.*\[\([0-9A-Fa-f:]\{17\}\)\].*/answer \1/p' | sort -u
    echo "asked arping"
  elif [ -z "$held" ]; then
    ip neigh show "$2" 2>/dev/null | sed -n 's/.*lladdr \([0-9a-f:]*\) \(REACHABLE\|DELAY\|PROBE\).*/answer \1/p'
  fi
}

# in a shell of its own: it waits for its own questions and removes its own files
ask_services() (
  answers=$(mktemp -d) || exit 0
  trap 'rm -rf "$answers"' EXIT
  echo '@@settings'
  printf 'vip\t%s\nexternal_vip\t%s\nrotation\t%s\n' "$vip_internal" "$vip_external" "$rotation"
  # a daemon that hangs would hang every question: without names nobody is asked
  if ! names=$(limited 30 ps -a --no-trunc --format '{{.Names}}' 2>"$answers/errors"); then
    said services "$(cat "$answers/errors") (refused, or no answer within 30 s)"
    exit 0
  fi
  if has rabbitmq; then ask_inside rabbitmq rabbitmq 200 "$script_rabbitmq" "" rabbitmq; fi
  if has haproxy; then ask_inside haproxy haproxy 20 "$script_haproxy" "" haproxy; fi
  if has proxysql; then
    python=/opt/ansible/bin/python ask_inside proxysql kolla_toolbox 30 "$script_proxysql" "$proxysql_password" \
      proxysql "$proxysql_user" "$proxysql_port"
  fi
  if has keystone; then ask_inside fernet keystone 20 "$script_fernet" "$hash_key" fernet; fi
  if has memcached; then ask_inside memcached memcached 20 "$script_caches" "" memcached 11211; fi
  if has redis; then ask_inside redis redis 20 "$script_caches" "$redis_password" redis 6379; fi
  if has valkey_server; then ask_inside valkey valkey_server 20 "$script_caches" "$valkey_password" valkey 6379; fi
  for which in nb sb; do
    if has "ovn_${which}_db"; then ask_inside "ovn-$which" "ovn_${which}_db" 30 "$script_ovn" "" ovn "$which"; fi
  done
  monitor=$(printf '%s\n' "$names" | grep -m 1 -E '^ceph-.+-mon[.-]') || monitor=''
  for name in $monitor cinder_volume cinder_backup nova_compute; do
    if { [ "$ceph" = yes ] || [ "$name" = "$monitor" ]; } && has "$name"; then
      ask_inside ceph "$name" 40 "$script_ceph" "" ceph
      break
    fi
  done
  vip vip-internal "$vip_internal"
  if [ "$vip_external" != "$vip_internal" ]; then vip vip-external "$vip_external"; fi
  wait
  cat "$answers"/*.said 2>/dev/null
)
