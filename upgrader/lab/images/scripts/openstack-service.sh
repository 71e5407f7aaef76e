# Kolla's start scripts of one service: those of the project, and those of the image where it has some.
. /lab/images/scripts/lib.sh
project=${IMAGE%%-*}
from_kolla 0644 $project/$project-base/extend_start.sh /usr/local/bin/kolla_extend_start
own=$KOLLA/$project/$IMAGE/extend_start.sh
[ -e "$own" ] || own=/dev/null
install -m 0644 "$own" "/usr/local/bin/kolla_${project}_extend_start"
sudoers=$project/$project-base/${project}_sudoers
if [ -e "$KOLLA/$sudoers" ]; then
    from_kolla 0440 $sudoers /etc/sudoers.d/kolla_${project}_sudoers
    chmod 750 /etc/sudoers.d
fi
