# Looks at one host and prints sections, each opened by a line "@@name". Changes nothing, always exits 0:
# what could not be read is said in a "@@failed" line, because the other answers are still worth having.
# Expects: function engine; variables host_root (empty on a real host), python (Ansible's interpreter there, may be
# empty), asked (the asking machine's time, seconds). Plain sh: raw gives it to whatever shell the account has.
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
told() { printf '%s\t%s\n' "$1" "$2"; }
here() { command -v "$1" >/dev/null 2>&1; }

# a sandbox's hosts share this machine's clock: one that is to go wrong says by how much
shift_seconds=''
[ -n "$host_root" ] && [ -f "$host_root/clock-shift" ] && shift_seconds=$(cat "$host_root/clock-shift")
seconds() { if [ -n "$shift_seconds" ]; then date -d "$shift_seconds seconds" +%s.%N; else date +%s.%N; fi; }

begun=$(seconds)
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

echo '@@volumes'
engine volume ls --format '{{.Name}}' 2>"$errors" || said volumes "$(cat "$errors")"
echo '@@images'
engine image ls --format '{{.Repository}}:{{.Tag}}' 2>"$errors" || said images "$(cat "$errors")"

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

# ---- what the host itself knows. A host that is a folder must not answer with this machine's state: a file holds
# its sections

# the version of the library, not the library: importing it takes ten times as long
libraries() {
  for candidate in "$python" /usr/bin/python3; do
    case $candidate in /*) ;; *) continue ;; esac
    [ -x "$candidate" ] || continue
    timeout 10 "$candidate" -c '
import importlib.metadata as metadata
for name in ("docker", "podman"):
    try:
        print(name + "\t" + metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
' 2>"$errors" || said sdk "$(cat "$errors")"
    return
  done
  said sdk 'no Python was found'
}

# chronyd is asked first, on the host or in its container: it knows more than the kernel's flag. Its last field is
# the leap status
synchronised() {
  if here chronyc; then timeout 5 chronyc -c tracking 2>/dev/null | sed 's/.*,//' | grep . && return; fi
  case "
$names
" in *"
chrony
"*) engine exec chrony chronyc -c tracking 2>/dev/null | sed 's/.*,//' | grep . && return ;; esac
  if here timedatectl; then timeout 5 timedatectl show --property=NTPSynchronized --value 2>/dev/null | grep . && return; fi
  said synchronised 'neither chronyc nor timedatectl told'
}

# only tables that the kernel lists are read: asking for another one would load its module. Kolla's images bring the
# program to hosts that have none (openstack/kolla@20.6.0: docker/neutron/neutron-base)
legacy_save() {
  if here "$1-legacy-save"; then "$1-legacy-save" -t "$2"; else engine exec -u 0 neutron_openvswitch_agent "$1-legacy-save" -t "$2"; fi
}
legacy_rules() {
  for family in ip ip6; do
    [ -r "${proc_net:-/proc/net}/${family}_tables_names" ] || continue
    while IFS= read -r table; do
      if rules=$(legacy_save "${family}tables" "$table" 2>"$errors" </dev/null); then
        printf '%s\n' "$rules" | grep -c '^-A'
      else
        said iptables "table $table is loaded and could not be read: $(cat "$errors")"
      fi
    done <"${proc_net:-/proc/net}/${family}_tables_names"
  done
  echo 0
}

if [ -n "$host_root" ]; then
  [ -f "$host_root/system" ] && cat "$host_root/system"
else
  echo '@@kernel'
  uname -r
  echo '@@sdk'
  libraries
  echo '@@addresses'
  ip -o addr show 2>"$errors" || said addresses "$(cat "$errors")"
  echo '@@iptables'
  legacy_rules
  echo '@@clock'
  leap=$(synchronised)
  case $leap in @@failed*) printf '%s\n' "$leap" ;; *) told synchronised "$leap" ;; esac
fi
echo '@@clock'
told asked "$asked"
told begun "$begun"
told ended "$(seconds)"
exit 0
