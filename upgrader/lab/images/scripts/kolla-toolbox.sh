. /lab/images/scripts/lib.sh
kolla_base_files
environment /opt/ansible "/lab/images/locks/toolbox-$RELEASE.txt"
mkdir -p /etc/ansible /usr/share/ansible
echo 'localhost ansible_connection=local ansible_python_interpreter=/opt/ansible/bin/python' > /etc/ansible/hosts
cp -r /lab/collections /usr/share/ansible/collections
from_kolla 0644 kolla-toolbox/ansible.cfg /etc/ansible/ansible.cfg
from_kolla 0440 kolla-toolbox/ansible_sudoers /etc/sudoers.d/kolla_ansible_sudoers
from_kolla 0644 kolla-toolbox/extend_start.sh /usr/local/bin/kolla_extend_start
from_kolla 0755 kolla-toolbox/kolla_toolbox.sh /usr/local/bin/kolla_toolbox
