. /lab/images/scripts/lib.sh
kolla_user memcached /run/memcache
packages cron logrotate memcached
