# Says what a physical copy would find on this host. Changes nothing.
# Expects: function engine; variables work (folder for what is sent), copy (volume of the copy), sha and size (of the
# stream), images (names, the wanted one first). Prints `NAME<TAB>VALUE` in section @@room.
room() { df -PB1 "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }
place() { engine volume inspect --format '{{.Mountpoint}}' "$1" 2>/dev/null; }

echo '@@room'
for name in mariadb "$copy" mariadb_backup kolla_logs; do
  volumes=$(place "$name") && [ -d "$volumes" ] && break
done
if [ -d "$volumes" ]; then
  printf 'volumes\t%s\n' "$(room "$volumes")"
  printf 'volumes-on\t%s\n' "$(stat -c %d "$volumes")"
fi
above=$work
while [ ! -d "$above" ] && [ "$above" != / ]; do above=$(dirname "$above"); done
printf 'work\t%s\n' "$(room "$above")"
printf 'work-on\t%s\n' "$(stat -c %d "$above")"
made=$(place "$copy") && [ -f "$made/upgrader-step" ] && printf 'step\t%s\n' "$(cat "$made/upgrader-step")"
for image in $images; do
  engine image inspect --format '{{.Id}}' "$image" >/dev/null 2>&1 && printf 'image\t%s\n' "$image"
done
# what kolla-ansible left in its own volume need not be sent once more
kept=$(place mariadb_backup) && find "$kept" -type f -name 'mysqlbackup-*.gz' -size "${size}c" 2>/dev/null | while IFS= read -r file; do
  [ "$(sha256sum <"$file" | cut -d' ' -f1)" = "$sha" ] && { printf 'stream\t%s\n' "$file"; break; }
done
exit 0
