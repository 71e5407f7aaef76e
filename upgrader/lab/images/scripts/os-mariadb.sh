. /lab/images/scripts/lib.sh
kolla_user mysql
packages expect mariadb-backup mariadb-client mariadb-server
rm -rf /var/lib/mysql/*
install -d -m 0755 -o mysql /var/run/mysqld
