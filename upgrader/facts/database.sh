# Asks one database server for its Galera state, the version tables, where Keystone is, and, in one place of the
# cluster, for what the services keep there. Changes nothing. Comes after questions.sh, marks.sh and records.sh.
# Expects: servers, how many servers of the cluster are asked in this play.
galera=$(ask galera)
printf '%s\n' "$galera"
ask heads
ask marks
ask keystone-endpoint

# One server of a whole cluster is enough, and which one each can tell for itself. Where the cluster is not whole,
# every server that takes queries answers: whom to believe is decided by whoever has all their answers.
value() { printf '%s\n' "$galera" | sed -n "s/^$1$(printf '\t')//p" | head -n 1; }
index=$(value wsrep_local_index)
if [ "$(value wsrep_cluster_size)" != "${servers:-1}" ] || [ "${index:-0}" = 0 ]; then ask_records; fi
