. /lab/images/scripts/lib.sh
kolla_base_files
kolla_user haproxy
packages haproxy
from_kolla 0755 haproxy/haproxy/ensure_latest_config.sh /usr/local/bin/kolla_ensure_haproxy_latest_config
mkdir -p /var/lib/kolla/haproxy
chown -R haproxy: /var/lib/kolla/haproxy /var/lib/haproxy /run
