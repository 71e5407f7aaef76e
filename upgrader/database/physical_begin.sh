# Starts this host's database server as a cluster of its own. Comes after questions.sh and before rejoin.sh, which waits.
# The address of the cluster in its configuration is empty while it starts, which is how Galera begins one; the file is
# what it was as soon as the server runs, and an interrupted attempt's is mended first. Every other server stands still.
# Expects: variable host_root besides those of rejoin.sh.
conf=$(engine inspect --type container --format '{{range .Mounts}}{{if eq .Destination "/var/lib/kolla/config_files"}}{{.Source}}{{end}}{{end}}' mariadb 2>"$errors")/galera.cnf
mend() { if [ -f "$conf.upgrader" ]; then cat "$conf.upgrader" >"$conf" && rm -f "$conf.upgrader"; fi; }
trap 'rm -f "$errors"; mend' EXIT
mend || { said begin "$conf cannot be written"; exit 1; }
answer=$(question_galera | sql | sed -n 's/^wsrep_cluster_status\t//p')
if [ "$answer" != Primary ]; then
  grep -qE '^wsrep_cluster_address *= *gcomm://' "$conf" 2>/dev/null || { said begin "its configuration $conf names no address of a cluster"; exit 1; }
  place=$(engine volume inspect --format '{{.Mountpoint}}' mariadb)
  # after a start of this kind that was cut off; kolla-ansible's recovery does the same
  if [ -f "$place/grastate.dat" ]; then sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$place/grastate.dat" || exit 1; fi
  cp -p "$conf" "$conf.part" && mv "$conf.part" "$conf.upgrader" && sync -f "$conf.upgrader" &&
    sed -E 's|^(wsrep_cluster_address *= *gcomm://).*|\1|' "$conf.upgrader" >"$conf" || { said begin "$conf cannot be written"; exit 1; }
  unit=kolla-mariadb-container.service
  if [ -z "$host_root" ] && [ -f "/etc/systemd/system/$unit" ]; then systemctl restart "$unit" 2>"$errors"
  else engine stop mariadb >/dev/null 2>&1; engine start mariadb >/dev/null 2>"$errors"; fi ||
    { said begin "it does not start: $(tail -n 2 "$errors")"; exit 1; }
fi
