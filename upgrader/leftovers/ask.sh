# Asks the database server, the broker and OpenSearch of one host what an interrupted role left set. Changes nothing,
# exits 0: what could not be asked is said in a "@@failed" line. Comes after questions.sh.
# Expects: functions engine and limited; variables script_rabbitmq, script_opensearch, variables (quoted names).
if ! states=$(limited 30 ps -a --no-trunc --format '{{.Names}}	{{.Status}}' 2>"$errors"); then
  said containers "$(cat "$errors") (refused, or no answer within 30 s)"
  states=''
fi
up() { printf '%s\n' "$states" | grep -q "^$1	Up"; }

question_leftovers() {
  echo '-- upgrader: leftovers'
  echo 'SELECT LOWER(variable_name), global_value, global_value_origin FROM information_schema.system_variables'
  echo "WHERE variable_name IN ($variables);"
}

# inside SECTION CONTAINER SECONDS SCRIPT WORD…
inside() {
  local section=$1 container=$2 seconds=$3 script=$4 answer
  shift 4
  up "$container" || return 0
  echo "@@$section"
  if answer=$(printf '%s\n' "$script" | limited "$seconds" exec -i "$container" python3 - "$@" 2>"$errors"); then
    printf '%s\n' "$answer"
  else
    said "$section" "$(tail -n 1 "$errors")"
  fi
}

if [ -n "$variables" ] && up mariadb; then ask leftovers; fi
inside rabbitmq rabbitmq 100 "$script_rabbitmq" rabbitmq-node
inside opensearch opensearch 40 "$script_opensearch" opensearch ask
