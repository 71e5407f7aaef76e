. /lab/images/scripts/lib.sh
from_kolla 0755 keystone/keystone/keystone_bootstrap.sh /usr/local/bin/kolla_keystone_bootstrap
from_kolla 0644 keystone/keystone/extend_start.sh /usr/local/bin/kolla_extend_start
if [ -e "$KOLLA/keystone/keystone-base/wsgi" ]; then   # since 2025.2, when Keystone stopped shipping its own
    from_kolla 0755 keystone/keystone-base/wsgi /var/lib/kolla/venv/bin/keystone-wsgi-public
    install -m 0755 /lab/images/uwsgi/uwsgi /var/lib/kolla/venv/bin/uwsgi
fi
