# Restarts running containers whose configuration is newer than their start; prints "restarted NAME" for each.
# Expects: function engine, variable host_root (empty on a real host). Exits 1 when one did not obey.
failed=0
for folder in "$host_root"/etc/kolla/*/; do
  [ -d "$folder" ] || continue
  base=$(basename "$folder")
  newest=$(find "$folder" -type f -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
  [ -n "$newest" ] || continue
  for name in "$(printf '%s' "$base" | tr '-' '_')" "$base"; do
    line=$(engine inspect --type container --format '{"name":{{json .Name}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"labels":{{json .Config.Labels}},"state":{{json .State}}}' "$name" 2>/dev/null) || continue
    printf '%s' "$line" | grep -q '"Status":"running"' || continue
    started=$(printf '%s' "$line" | sed -n 's/.*"StartedAt":"\([^"]*\)".*/\1/p')
    start=$(date -d "$started" +%s 2>/dev/null) || continue
    # a container reads its configuration once, when it starts; a second of grace for clocks that round
    [ "${newest%.*}" -gt "$((start + 1))" ] || continue
    unit="kolla-$name-container.service"
    if [ -z "$host_root" ] && [ -f "/etc/systemd/system/$unit" ]; then
      systemctl restart "$unit" || { echo "failed $name"; failed=1; continue; }
    else
      { engine stop "$name" && engine start "$name"; } >/dev/null || { echo "failed $name"; failed=1; continue; }
    fi
    echo "restarted $name"
  done
done
exit "$failed"
