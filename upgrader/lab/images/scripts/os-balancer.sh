. /lab/images/scripts/lib.sh
kolla_user haproxy
packages haproxy keepalived mariadb-client
mkdir -p /var/lib/kolla/haproxy
chown -R haproxy: /var/lib/kolla/haproxy /var/lib/haproxy /run
