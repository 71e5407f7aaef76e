. /lab/images/scripts/lib.sh
kolla_base_files
from_kolla 0755 haproxy/haproxy/ensure_latest_config.sh /usr/local/bin/kolla_ensure_haproxy_latest_config
