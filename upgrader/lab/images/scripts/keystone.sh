. /lab/images/scripts/lib.sh
from_kolla 0755 keystone/keystone/keystone_bootstrap.sh /usr/local/bin/kolla_keystone_bootstrap
from_kolla 0644 keystone/keystone/extend_start.sh /usr/local/bin/kolla_extend_start
