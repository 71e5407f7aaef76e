# Stops or starts containers ($action, names in $names). A container of Kolla's has a systemd unit that brings it
# back when it is stopped behind its back (Restart=always, ExecStart=<engine> start -a NAME in
# module_utils/kolla_systemd_worker.py), so the unit is asked where there is one, the engine where there is none.
# Expects: function engine, variables host_root, action, names. Exits 0 only when every container obeyed.
failed=0
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
for name in $names; do
  unit="kolla-$name-container.service"
  # hosts of a sandbox are folders: the systemd beside them is this machine's
  if [ -z "$host_root" ] && [ -f "/etc/systemd/system/$unit" ]; then
    systemctl "$action" "$unit" 2>"$errors"
  else
    engine "$action" "$name" >/dev/null 2>"$errors"
  fi || { printf '@@failed %s %s\n' "$name" "$(tr '\r\n' '  ' <"$errors" | cut -c1-400)"; failed=1; }
done
exit "$failed"
