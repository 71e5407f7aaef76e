. /lab/images/scripts/lib.sh
kolla_base_files
source=mariadb-server                                   # the folder moved up one level in 2025.2
[ -d "$KOLLA/$source" ] || source=mariadb/mariadb-server
from_kolla 0440 $source/mariadb_sudoers /etc/sudoers.d/kolla_mariadb_sudoers
from_kolla 0644 $source/extend_start.sh /usr/local/bin/kolla_extend_start
from_kolla 0755 $source/security_reset.expect /usr/local/bin/kolla_security_reset
from_kolla 0755 $source/backup.sh /usr/local/bin/kolla_mariadb_backup.sh
from_kolla 0755 $source/backup_replica.sh /usr/local/bin/kolla_mariadb_backup_replica.sh
from_kolla 0755 $source/healthcheck_mariadb /usr/local/bin/healthcheck_mariadb
chmod 750 /etc/sudoers.d
# 2025.1 asks clustercheck, 2025.2 asks healthcheck.sh of another project: both are the lab's own here
install -m 0755 /lab/images/mariadb/galera-health /usr/bin/clustercheck
install -m 0755 /lab/images/mariadb/galera-health /usr/bin/healthcheck.sh
