. /lab/images/scripts/lib.sh
kolla_user ansible
kolla_user rabbitmq   # its home holds the cookie, where the parent has rabbitmqctl
packages python3-venv
