. /lab/images/scripts/lib.sh
packages adduser apt-utils ca-certificates curl dumb-init gawk iproute2 kmod locales lsof netbase procps python3 \
    socat sudo tzdata
# kolla's user ids are above Debian's range of system users: haproxy's package would refuse them
sed -i -e 's/^#*LAST_SYSTEM_UID=.*/LAST_SYSTEM_UID=59999/' -e 's/^#*LAST_SYSTEM_GID=.*/LAST_SYSTEM_GID=59999/' /etc/adduser.conf
sed -i -e 's/# en_US.UTF-8 UTF-8/en_US.UTF-8 UTF-8/' /etc/locale.gen
locale-gen en_US.UTF-8
echo 'LANG=C.UTF-8' > /etc/default/locale   # kolla_httpd_setup reads it, and fails without
rm -f /etc/localtime                        # kolla binds the host's file here
python3 - <<'PY'
"""Kolla's users and groups with the ids of kolla/common/users.py; only those of the images the lab builds."""
import subprocess
import sys

sys.path.insert(0, "/lab/kolla")
from users import USERS  # noqa: E402

wanted = ("kolla", "ansible", "glance", "haproxy", "keystone", "memcached", "mysql", "nova", "placement", "rabbitmq")
for name in wanted:
    ids = USERS[f"{name}-user"]
    subprocess.run(["groupadd", "--gid", str(ids["gid"]), name], check=True)
    subprocess.run(["useradd", "-l", "-M", "--shell", "/usr/sbin/nologin", "--uid", str(ids["uid"]),
                    "--gid", str(ids["gid"]), name], check=True)
PY
install -d -m 2775 -g kolla /var/log/kolla
