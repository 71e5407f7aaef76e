. /lab/images/scripts/lib.sh
kolla_base_files
environment /var/lib/kolla/venv "/lab/images/locks/keystone-$RELEASE.txt"
mkdir -p /etc/keystone
cp -r /var/lib/kolla/venv/etc/keystone/. /etc/keystone/
