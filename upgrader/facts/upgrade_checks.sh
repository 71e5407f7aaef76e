# Runs services' own upgrade checks in images of the release to come, each in a container of its own that is removed
# afterwards. Needs the images to be on the host already; pulls nothing. Always exits 0.
# Expects: functions engine and limited, release, and the array wanted with "SERVICE CONTAINER" entries.
# The container gets the configuration of the running one, read only, and does with it what kolla_start does before it
# starts a service (openstack/kolla@21.3.0: docker/base/start.sh; nova's own check there: docker/nova/nova-api).
said() { printf '@@failed %s %s\n' "$1" "$(printf '%s' "$2" | tr '\r\n' '  ' | cut -c1-400)"; }
errors=$(mktemp) || exit 0
trap 'rm -f "$errors"' EXIT

# asked once: every call of the engine's program costs time on each service
images=$(limited 30 image ls --format '{{.Repository}}:{{.Tag}}' 2>"$errors") || unlisted=$(cat "$errors")

check() {
  local service=$1 container=$2 name="upgrader_check_$1_$$" facts image config='' repository target part told code=0
  local mounts=() parts=()
  echo "@@$service"
  facts=$(limited 20 inspect --type container \
    --format '{{.Config.Image}}{{range .Mounts}}|{{.Source}}:{{.Destination}}{{end}}' \
    "$container" 2>"$errors") || { said "$service" "$(cat "$errors")"; return; }
  IFS='|' read -r -a parts <<<"$facts"
  image=${parts[0]}
  for part in "${parts[@]:1}"; do
    case $part in
      *:/var/lib/kolla/config_files) config=${part%:*} ;;
      # what the service keeps beside its configuration: keystone's answers nothing without its Fernet keys
      *:/etc/"$service"/*) mounts+=(-v "$part:ro") ;;
    esac
  done
  repository=${image%%@*}
  case ${repository##*/} in *:*) repository=${repository%:*} ;; esac
  [ -z "${unlisted:-}" ] || { said "$service" "its images cannot be listed: $unlisted"; return; }
  target=$(printf '%s\n' "$images" | awk -v start="$repository:$release" 'index($0, start) == 1' | head -n 1)
  [ -n "$target" ] || { said "$service" "no image of $release was pulled from $repository"; return; }
  [ -n "$config" ] || { said "$service" "its configuration folder is not known"; return; }
  # it ends itself: a client that was killed leaves its container behind, and the engine removes one that ends
  told=$(limited 150 run --rm --name "$name" --network host -e KOLLA_CONFIG_STRATEGY=COPY_ALWAYS \
    -v "$config:/var/lib/kolla/config_files:ro" "${mounts[@]}" "$target" bash -c \
    'sudo -E kolla_set_configs >/dev/null 2>&1 || { echo "its configuration cannot be laid out" >&2; exit 254; }
     sudo kolla_copy_cacerts >/dev/null 2>&1; mkdir -p "/var/log/kolla/$1" 2>/dev/null
     command -v "$1-status" >/dev/null || { echo "the image has no $1-status" >&2; exit 253; }
     exec timeout -k 5 140 "$1-status" upgrade check' upgrader "$service" 2>"$errors") || code=$?
  printf '%s\n' "$told"
  case $code in 124 | 137) limited 30 rm -f "$name" >/dev/null 2>&1 ;; esac
  echo "code $code"
  case $code in
    # a program that breaks before its first check ends with 1 too; a result comes with its table
    0 | 1 | 2) grep -q '^| Check:' <<<"$told" \
      || said "$service" "exit code $code without a result: $(printf '%s\n' "$told" | cat - "$errors" | grep . | tail -n 1)" ;;
    124 | 137) said "$service" "it did not end within 150 s" ;;
    *) said "$service" "exit code $code: $(tail -n 1 "$errors")" ;;
  esac
}

for entry in "${wanted[@]}"; do
  read -r service container <<<"$entry"
  check "$service" "$container"
done
exit 0
