. /lab/images/scripts/lib.sh
from_kolla 0755 keystone/keystone-fernet/fetch_fernet_tokens.py /usr/bin/fetch_fernet_tokens.py
from_kolla 0755 keystone/keystone-fernet/keystone_bootstrap.sh /usr/local/bin/kolla_keystone_bootstrap
from_kolla 0644 keystone/keystone-fernet/extend_start.sh /usr/local/bin/kolla_extend_start
