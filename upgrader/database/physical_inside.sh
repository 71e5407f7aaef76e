# Runs in a container of the server's own image, without network, as root; the copy's volume is /mnt.
# What to do comes first: `unpack` the stream from standard input, `prepare` what was unpacked, `try QUESTIONS USER` a
# server on it (the password is the first line of standard input). Ends with another code than 0 when it did not come right.
set -o pipefail
umask 077
data=/mnt/data
backup=$(command -v mariadb-backup || command -v mariabackup)
server=$(PATH=$PATH:/usr/sbin:/usr/libexec command -v mariadbd || PATH=$PATH:/usr/sbin:/usr/libexec command -v mysqld)
stop() { printf '%s\n' "$1" >&2; exit 1; }
# the last words of a log that say what was wrong
words() { grep -aE 'ERROR|[Ee]rror|No space left' "$1" | grep -av 'Aborting$' | tail -n 2 | grep . || tail -n 2 "$1"; }

unpack() {
  [ -n "$backup" ] || stop 'the image has no mariadb-backup'
  mkdir -m 0700 "$data" || exit 1
  mbstream -x -C "$data" || exit 1
  [ -f "$data/xtrabackup_checkpoints" ] || [ -f "$data/mariadb_backup_checkpoints" ] || stop 'it is no whole stream of mariadb-backup'
}

prepare() {
  local free
  free=$(awk '$1 == "MemAvailable:" { print int($2 / 4096) }' /proc/meminfo)
  [ "${free:-0}" -ge 128 ] || free=128
  [ "$free" -le 4096 ] || free=4096
  "$backup" --no-defaults --prepare --target-dir="$data" --use-memory="${free}M" >/mnt/prepare.log 2>&1 || stop "$(words /mnt/prepare.log)"
  # the user of the image's own server, whatever its number is
  chown -R mysql:mysql "$data"
}

try() {
  local options=() line pid ends
  while IFS= read -r line; do
    case $line in
      innodb_data_file_path=* | innodb_page_size=* | innodb_undo_tablespaces=* | innodb_checksum_algorithm=*) options+=("--$line") ;;
    esac
  done <"$data/backup-my.cnf"
  rm -rf /mnt/run && mkdir -m 0700 /mnt/run && chown mysql:mysql /mnt/run && chmod 0711 /mnt || exit 1
  "$server" --no-defaults --user=mysql --datadir="$data" --socket=/mnt/run/s --pid-file=/mnt/run/pid --tmpdir=/mnt/run \
    --log-error=/mnt/run/log --skip-networking --skip-log-bin --wsrep-on=OFF --event-scheduler=OFF \
    --performance-schema=OFF "${options[@]}" </dev/null >/dev/null 2>&1 &
  pid=$!
  ends=$((SECONDS + 1800))
  # it answers also to who may not enter
  until mariadb-admin --no-defaults --socket=/mnt/run/s --user=nobody ping </dev/null >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || stop "a server does not start on it: $(words /mnt/run/log)"
    [ "$SECONDS" -lt "$ends" ] || { kill -9 "$pid"; stop 'a server on it does not answer within 30 min'; }
    sleep 0.2
  done
  # the questions are put to a container of the name mariadb: here that is this server
  engine() { shift 5; set -- "$1" --no-defaults --socket=/mnt/run/s "${@:2}"; "$@"; }
  database_user=${2:-root}
  eval "$1"
  ask heads
  ask rows
  ask schemas
  ask galera
  kill "$pid"
  wait "$pid" || stop 'the server that was tried on it did not end well'
}

"$@"
