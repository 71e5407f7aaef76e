# Puts right on one host what is named in $jobs, parted by semicolons: set-back VARIABLE VALUE, revive, start-app, allocate,
# start CONTAINER, wait CONTAINER. Prints "@@done JOB" or "@@failed JOB words"; exits 0. Comes after questions.sh.
# Expects: functions engine and limited; variables host_root, script_opensearch, jobs, patience (seconds of one wait).
told() { if [ "$1" = 0 ]; then echo "@@done $2"; else said "$2" "$(spoken)"; fi; }
state() { limited 30 ps -a --no-trunc --format '{{.Names}}	{{.Status}}' 2>"$errors" | sed -n "s/^$1	//p"; }

set_back() {
  { echo '-- upgrader: set-back'; echo "SET GLOBAL $1 = '$2';"; } | sql
}

# a container of Kolla's has a systemd unit; hosts of a sandbox are folders, the systemd beside them is this machine's
start() {
  local unit="kolla-$1-container.service"
  if [ -z "$host_root" ] && [ -f "/etc/systemd/system/$unit" ]; then systemctl start "$unit" 2>"$errors"; else engine start "$1" 2>"$errors"; fi
}

await() {
  local end=$((SECONDS + patience))
  while :; do
    case $(state "$1") in Up*) ;; *) return 0 ;; esac
    [ "$SECONDS" -lt "$end" ] || { echo "still runs after $patience s" >"$errors"; return 1; }
    sleep 2
  done
}

allocate() {
  local answer
  answer=$(printf '%s\n' "$script_opensearch" | limited 40 exec -i opensearch python3 - opensearch allocate 2>"$errors") || return 1
  case $answer in *'"error"'*) printf '%s\n' "$answer" >"$errors"; return 1 ;; esac
}

while read -r verb first second; do
  [ -n "$verb" ] || continue
  job="$verb${first:+-$first}"
  code=0
  case $verb in
    set-back) set_back "$first" "$second" </dev/null || code=$? ;;
    revive) limited 100 exec rabbitmq rabbitmq-upgrade revive >/dev/null 2>"$errors" </dev/null || code=$? ;;
    start-app) limited 300 exec rabbitmq rabbitmqctl start_app >/dev/null 2>"$errors" </dev/null || code=$? ;;
    allocate) allocate </dev/null || code=$? ;;
    start) start "$first" >/dev/null </dev/null || code=$? ;;
    wait) await "$first" </dev/null || code=$? ;;
    *) echo "no such job" >"$errors"; code=1 ;;
  esac
  told "$code" "$job"
done <<EOF
$(printf '%s' "$jobs" | tr ';' '\n')
EOF
