# Makes a database server's data folder out of a stream of mariadb-backup, in volume $copy of this host, and tries a
# server on it, in containers that have no network. Nothing that runs is touched, nothing is stopped. May be done again
# after any interruption: what counts is in the file upgrader-step there, and a step that was begun is done anew.
# Expects: function engine; variables dir (stream.gz was sent there, unless stream names one that is here), sha, copy,
# image, inside (what runs in the container), questions, database_user. The password is the first line of standard input.
set -o pipefail
umask 077
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-600)"; }
stop() { said "$1" "$(printf '%s' "$2" | grep . || echo 'it said nothing')"; exit 1; }
errors=$(mktemp) || exit 1
trap 'rm -f "$errors" "$errors.gz"' EXIT
IFS= read -r password || true
container=upgrader_copy

engine volume inspect --format '{{.Mountpoint}}' "$copy" >/dev/null 2>&1 || engine volume create "$copy" >/dev/null 2>"$errors" ||
  stop copy "volume $copy cannot be made: $(cat "$errors")"
place=$(engine volume inspect --format '{{.Mountpoint}}' "$copy")
[ -d "$place" ] || stop copy "volume $copy is not a folder of this host"
done_with() { printf '%s %s\n' "$1" "$sha" >"$place/step.part" && sync -f "$place" && mv "$place/step.part" "$place/upgrader-step" && sync -f "$place" || stop copy "$place cannot be written"; }
step=$(cat "$place/upgrader-step" 2>/dev/null)
case $step in "tried $sha" | "placed $sha") cat "$place/answers"; exit 0 ;; esac

# one that an interrupted attempt left goes on by itself
engine rm -f "$container" >/dev/null 2>&1
one_off() { engine run --rm -i --name "$container" --network none --user root -v "$copy:/mnt" "$image" bash -c "$inside" upgrader "$@" 2>"$errors"; }

if [ "$step" != "prepared $sha" ]; then
  [ -n "$stream" ] || stream=$dir/stream.gz
  [ "$(sha256sum <"$stream" | cut -d' ' -f1)" = "$sha" ] || stop copy "$stream does not have the checksum that the set's manifest says"
  rm -rf -- "$place/data" "$place/upgrader-step" || stop copy "$place cannot be emptied"
  gzip -dc -- "$stream" 2>"$errors.gz" | one_off unpack || stop unpack "$(tail -n 2 -q "$errors.gz" "$errors" | grep .)"
  one_off prepare </dev/null || stop prepare "$(tail -n 3 "$errors")"
  done_with prepared
fi
answers=$(printf '%s\n' "$password" | one_off try "$questions" "$database_user") || { printf '%s\n' "$answers"; stop try "$(tail -n 3 "$errors")"; }
case $answers in *@@failed*) printf '%s\n' "$answers"; exit 1 ;; esac
printf '%s\n' "$answers" >"$place/answers" && done_with tried
printf '%s\n' "$answers"
