# Runs each line of $commands (CONTAINER COMMAND…) in its container; prints "ended N COMMAND" for each, and the last
# lines it said. Its exit code decides nothing: rows are counted afterwards. Expects: function engine.
while IFS= read -r line; do
  [ -n "$line" ] || continue
  said=$(engine exec $line </dev/null 2>&1)
  echo "ended $? ${line#* }"
  printf '%s\n' "$said" | tail -n 20
done <<<"$commands"
