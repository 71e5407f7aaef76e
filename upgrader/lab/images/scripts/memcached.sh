. /lab/images/scripts/lib.sh
kolla_base_files
