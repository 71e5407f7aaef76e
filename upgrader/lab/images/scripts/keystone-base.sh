. /lab/images/scripts/lib.sh
kolla_base_files
environment /var/lib/kolla/venv "/lab/images/locks/keystone-$RELEASE.txt"
mkdir -p /etc/keystone
cp -r /var/lib/kolla/venv/etc/keystone/. /etc/keystone/
if [ -e "$KOLLA/keystone/keystone-base/wsgi" ]; then   # since 2025.2, when Keystone stopped shipping its own
    from_kolla 0755 keystone/keystone-base/wsgi /var/lib/kolla/venv/bin/keystone-wsgi-public
fi
