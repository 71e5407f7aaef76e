. /lab/images/scripts/lib.sh
kolla_base_files
from_kolla 0644 cron/extend_start.sh /usr/local/bin/kolla_extend_start
