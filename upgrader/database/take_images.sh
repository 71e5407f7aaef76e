# Prints "IMAGE<TAB>{tags, digests}" for every image in $ids. One call each: podman knows no .Id in this format,
# and what cannot be described must not shift the others. Expects: function engine, variable ids.
for id in $ids; do
  printf '%s\t' "$id"
  engine image inspect --format '{"tags":{{json .RepoTags}},"digests":{{json .RepoDigests}}}' "$id" || echo
done
