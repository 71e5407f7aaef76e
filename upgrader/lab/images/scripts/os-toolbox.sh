. /lab/images/scripts/lib.sh
kolla_user ansible
# rabbitmq-server is here for rabbitmqctl alone; its user's home holds the cookie
kolla_user rabbitmq
packages python3-venv
