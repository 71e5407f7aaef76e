# Sourced by every image script. /lab is bound in for the build only and never becomes part of an image:
#   env, apt.conf, sources.list  what this machine says about registries, mirrors, proxies and trust
#   images                       this package's images folder
#   kolla                        docker/ and users.py of the published kolla package of the release
#   collections                  the Ansible collections kolla-toolbox needs
set -euo pipefail
set -a
. /lab/env
set +a
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/lab/apt.conf
KOLLA=/lab/kolla/docker

# Installs Debian packages and leaves no download behind.
packages() {
    apt-get install -y --no-install-recommends "$@"
    rm -rf /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/apt /var/log/dpkg.log
}

# from_kolla MODE SOURCE TARGET: one file of kolla's docker folder.
from_kolla() {
    install -m "$1" "$KOLLA/$2" "$3"
}

# Gives a Kolla user its home and the kolla group, as kolla's configure_user macro does.
kolla_user() {
    local name=$1 home=${2:-/var/lib/$1}
    usermod --append --home "$home" --groups kolla "$name"
    mkdir -p "$home"
    chown -R "$name:$name" "$home"
}

# A virtual environment with the pinned packages of a lock file; python3 points at the versioned folder,
# because Kolla's configuration names paths below lib/python3.
environment() {
    local path=$1 lock=$2
    python3 -m venv --system-site-packages "$path"
    ln -s "python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$path/lib/python3"
    "$path/bin/python" -m pip install --no-compile --quiet --requirement "$lock"
    "$path/bin/python" -m compileall -q -j 1 "$path/lib" >/dev/null || true
}

# The scripts every Kolla image carries, in the release's own version.
kolla_base_files() {
    from_kolla 0755 base/set_configs.py /usr/local/bin/kolla_set_configs
    from_kolla 0755 base/start.sh /usr/local/bin/kolla_start
    from_kolla 0755 base/copy_cacerts.sh /usr/local/bin/kolla_copy_cacerts
    from_kolla 0755 base/install_projects.sh /usr/local/bin/kolla_install_projects
    from_kolla 0644 base/httpd_setup.sh /usr/local/bin/kolla_httpd_setup
    from_kolla 0755 base/kolla_patch.sh /usr/local/bin/kolla_patch
    from_kolla 0440 base/sudoers /etc/sudoers
    local check
    for check in curl filemod listen port socket; do
        from_kolla 0755 "base/healthcheck_$check" "/usr/local/bin/healthcheck_$check"
    done
    [ -e /usr/local/bin/kolla_extend_start ] || install -m 0644 /dev/null /usr/local/bin/kolla_extend_start
}
