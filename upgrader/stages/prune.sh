# Removes the images named in $images, one reference a line, that are on this host; prints "removed NAME" or
# "kept NAME: WHY". Without force: the engine refuses an image that a container is made from, running or not.
# Expects: function engine. Exits 1 only where the engine cannot be asked.
there=$(engine image ls --format '{{.Repository}}:{{.Tag}}') || exit 1
while IFS= read -r name; do
  grep -qxF -- "$name" <<<"$there" || continue
  if said=$(engine rmi "$name" 2>&1 </dev/null); then
    echo "removed $name"
  else
    echo "kept $name: $(tr '\r\n' '  ' <<<"$said" | cut -c1-300)"
  fi
done <<<"$images"
