. /lab/images/scripts/lib.sh
kolla_base_files
source=rabbitmq/rabbitmq                                # one folder since 2025.2
[ -d "$KOLLA/$source" ] || source=rabbitmq
from_kolla 0755 $source/healthcheck_rabbitmq /usr/local/bin/healthcheck_rabbitmq
from_kolla 0644 $source/extend_start.sh /usr/local/bin/kolla_extend_start
