# Looks at one host and prints sections, each opened by a line "@@name". Changes nothing, always exits 0:
# what could not be read is said in a "@@failed" line, because the other answers are still worth having.
# Expects: function engine, variable host_root (empty on a real host).
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }

errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT

echo '@@info'
info=$(engine info --format '{{json .}}' 2>"$errors") || { said engine "$(cat "$errors")"; info=''; }
printf '%s\n' "$info"

echo '@@containers'
if names=$(engine ps -a --no-trunc --format '{{.Names}}' 2>"$errors"); then
  if [ -n "$names" ]; then
    # one call for all; a container that went away in between costs an error line, not the others
    # shellcheck disable=SC2086
    engine inspect --type container --format '{"name":{{json .Name}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"labels":{{json .Config.Labels}},"state":{{json .State}}}' $names 2>"$errors" \
      || said inspect "$(cat "$errors")"
  fi
else
  said containers "$(cat "$errors")"
fi

echo '@@disks'
root=$(printf '%s' "$info" | sed -n 's/.*"DockerRootDir": *"\([^"]*\)".*/\1/p')
[ -n "$root" ] || root=$(printf '%s' "$info" | sed -n 's/.*"graphRoot": *"\([^"]*\)".*/\1/p')
if [ -n "$host_root" ] && [ -f "$host_root/df" ]; then
  printf '%s\t%s\n' "${root:-/}" "$(tail -n 1 "$host_root/df")"
elif [ -n "$root" ]; then
  line=$(df -P -k "$root" 2>"$errors" | tail -n 1) || true
  if [ -n "$line" ]; then printf '%s\t%s\n' "$root" "$line"; else said disk "$(cat "$errors")"; fi
fi

echo '@@os'
cat "$host_root/etc/os-release" 2>/dev/null
exit 0
