. /lab/images/scripts/lib.sh
kolla_user rabbitmq
packages logrotate rabbitmq-server
rm -rf /var/lib/rabbitmq/*
chown rabbitmq: /var/lib/rabbitmq
/usr/lib/rabbitmq/bin/rabbitmq-plugins enable --offline rabbitmq_management rabbitmq_prometheus
