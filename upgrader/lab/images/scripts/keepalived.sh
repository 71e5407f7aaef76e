. /lab/images/scripts/lib.sh
kolla_base_files
from_kolla 0755 keepalived/check_alive.sh /check_alive.sh
from_kolla 0644 keepalived/extend_start.sh /usr/local/bin/kolla_extend_start
