. /lab/images/scripts/lib.sh
kolla_user keystone
# cron, ssh and rsync belong to keystone-fernet and keystone-ssh; all three images share this layer
packages apache2 cron libapache2-mod-wsgi-py3 openssh-client openssh-server python3-venv rsync uwsgi-plugin-python3
echo > /etc/apache2/ports.conf
rm -f /etc/ssh/ssh_host_*
