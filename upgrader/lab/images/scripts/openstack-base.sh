. /lab/images/scripts/lib.sh
kolla_base_files
environment /var/lib/kolla/venv "/lab/images/locks/openstack-$RELEASE.txt"
install -m 0755 /lab/images/uwsgi/uwsgi /var/lib/kolla/venv/bin/uwsgi
for project in glance nova placement; do
    kolla_user $project
    mkdir -p /etc/$project
    [ ! -d /var/lib/kolla/venv/etc/$project ] || cp -r /var/lib/kolla/venv/etc/$project/. /etc/$project/
done
cp -r "$KOLLA"/glance/glance-base/etc/glance/. /etc/glance/
sed -i 's|^exec_dirs.*|exec_dirs=/var/lib/kolla/venv/bin,/sbin,/usr/sbin,/bin,/usr/bin|' /etc/{glance,nova}/rootwrap.conf
