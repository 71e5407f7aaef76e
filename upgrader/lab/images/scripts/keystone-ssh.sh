. /lab/images/scripts/lib.sh
chsh --shell /bin/bash keystone
install -d -m 0755 /var/run/sshd
from_kolla 0644 keystone/keystone-ssh/extend_start.sh /usr/local/bin/kolla_extend_start
sed -ri 's/session(\s+)required(\s+)pam_loginuid.so/session\1optional\2pam_loginuid.so/' /etc/pam.d/sshd
