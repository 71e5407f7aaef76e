# Asks one database server for its Galera state and the version tables. Changes nothing, always exits 0.
# Comes after questions.sh.
ask galera
ask heads
exit 0
