# Waits until the database server of this host is a Synced member of the Primary component. Comes after questions.sh.
# A server that was away while the others went on takes over a donor's state first (IST where the donor still has every
# statement of that time, else SST, the whole data folder) and takes no client meanwhile, so that silence is no failure.
# Expects: variable limit in seconds. Exits 0 when it has joined.
ends=$(($(date +%s) + limit))
# the password was the first line of standard input and is known by now: every further question reads its own text
while :; do
  if answer=$(question_galera | sql); then
    state=$(printf '%s\n' "$answer" | sed -n 's/^wsrep_local_state_comment\t//p')
    status=$(printf '%s\n' "$answer" | sed -n 's/^wsrep_cluster_status\t//p')
    [ "$state" = Synced ] && [ "$status" = Primary ] && break
    words="it is ${state:-silent} in a component that is ${status:-unknown}"
  else
    words=$(spoken)
  fi
  if [ "$(date +%s)" -ge "$ends" ]; then
    said rejoin "not Synced after $limit s: $words"
    exit 1
  fi
  sleep "${pause:-3}"
done
echo '@@galera'
printf '%s\n' "$answer"
