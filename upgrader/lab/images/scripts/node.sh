. /lab/images/scripts/lib.sh
packages systemd systemd-sysv dbus docker.io iptables iproute2 python3 python3-docker python3-dbus \
    python3-requests sudo procps tzdata ca-certificates kmod
# No hardware, no consoles and no network of its own to look after: Docker gives the address.
systemctl mask systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-logind.service \
    getty.target console-getty.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service \
    systemd-modules-load.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount
install -m 0755 /lab/images/node/lab-init /usr/local/sbin/lab-init
install -m 0755 /lab/images/node/runc-without-resource /usr/local/sbin/runc-without-resource
# An empty id is filled at the first boot, so that three controllers do not share one.
: > /etc/machine-id
# kolla binds /etc/localtime and /etc/timezone into its containers
[ -e /etc/localtime ] || ln -s /usr/share/zoneinfo/Etc/UTC /etc/localtime
[ -e /etc/timezone ] || echo Etc/UTC > /etc/timezone
