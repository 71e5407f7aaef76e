"""What this machine is and says: rights, distribution, disk, package sources, pip settings, trusted certificates.

The images are built with what the machine itself uses to reach Debian and PyPI. All of it is gathered into one
folder that is bound into a build and never becomes part of an image.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from upgrader.errors import EnvironmentMissingError

SUITE = "bookworm"
DEBIAN = "http://deb.debian.org/debian"
DEBIAN_SECURITY = "http://deb.debian.org/debian-security"
DISK_NEEDED = 10 * 2**30
CAP_SYS_RESOURCE = 24
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

TOOLS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "iptables": "iptables",
    "tar": "tar",
}
UNITS = ("docker.service", "docker.socket", "containerd.service", "docker-registry.service")


@dataclass(frozen=True)
class AptSource:
    """One line of Debian package sources that fits the images."""

    uri: str
    suite: str
    components: str
    key: Path | None


def has_sys_resource() -> bool:
    """Whether root may raise limits here; some virtual machines and containers take that right away."""
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(int(found.group(1), 16) >> CAP_SYS_RESOURCE & 1) if found else True


def cgroup_version() -> int:
    """1 or 2; the hybrid layout counts as 1, because its controllers are on version 1."""
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def distribution() -> tuple[str, str]:
    """Id and codename of this machine's system, such as ("debian", "bookworm")."""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def check_machine(root: Path, *, fresh: bool) -> None:
    """Refuses, before anything is changed, a machine the lab cannot work on; EnvironmentMissingError says why."""
    if os.geteuid() != 0:
        raise EnvironmentMissingError(
            "the lab needs root: it runs a container engine of its own",
            cloud="nothing was changed",
            next_command="sudo upgrader lab up",
        )
    name, _ = distribution()
    if name not in ("debian", "ubuntu"):
        raise EnvironmentMissingError(
            f"the lab needs Debian 12 or Ubuntu 24.04; this system calls itself {name or 'nothing'}",
            cloud="nothing was changed",
        )
    existing = root
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if fresh and free < DISK_NEEDED:
        raise EnvironmentMissingError(
            f"{existing} has {free / 2**30:.1f} GiB free; the lab needs about {DISK_NEEDED // 2**30} GiB",
            cloud="nothing was changed",
            next_command="upgrader lab up --dir <a folder on a larger disk>",
        )


def missing_packages() -> tuple[str, ...]:
    """Debian packages whose tools this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    wanted = {package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None}
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        wanted.add(f"python3.{sys.version_info.minor}-venv")
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        wanted.add("debian-archive-keyring")
    return tuple(sorted(wanted))


def _deb822(text: str) -> Iterator[dict[str, str]]:
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        for line in paragraph.splitlines():
            if ":" in line and not line.startswith(("#", " ", "\t")):
                name, value = line.split(":", 1)
                fields[name.strip().lower()] = value.strip()
        if fields.get("types") and fields.get("enabled", "yes").lower() != "no":
            yield fields


def _sources_in(path: Path) -> Iterator[AptSource]:
    text = path.read_text(errors="replace")
    if path.suffix == ".sources":
        for fields in _deb822(text):
            if "deb" not in fields["types"].split():
                continue
            signed = fields.get("signed-by", "")
            key = Path(signed) if signed.startswith("/") else None
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield AptSource(uri, suite, fields.get("components", ""), key)
        return
    for line in text.splitlines():
        found = re.match(r"^\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$", line)
        if found:
            options, uri, suite, components = found.groups()
            signed_by = re.search(r"signed-by=(\S+)", options or "")
            yield AptSource(uri, suite, components.strip(), Path(signed_by.group(1)) if signed_by else None)


def apt_sources(etc: Path = Path("/etc/apt")) -> list[AptSource]:
    """This machine's sources of Debian bookworm; Debian's public ones where it has none, being another release."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found = [
        source
        for path in files
        if path.suffix in (".list", ".sources") and path.is_file()
        for source in _sources_in(path)
        if re.fullmatch(rf"{SUITE}(-updates|-security)?", source.suite) and "main" in source.components.split()
    ]
    if any(source.suite == SUITE for source in found):
        return found
    return [
        AptSource(DEBIAN, SUITE, "main", None),
        AptSource(DEBIAN, f"{SUITE}-updates", "main", None),
        AptSource(DEBIAN_SECURITY, f"{SUITE}-security", "main", None),
    ]


def apt_settings() -> list[str]:
    """How this machine's apt fetches: proxies, tolerated dates and the like, as lines of apt.conf."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return [line for line in dump.splitlines() if re.match(r"Acquire::(http|https|Check|Retries|ForceIPv4)", line)]


def pip_settings() -> dict[str, str]:
    """pip's settings on this machine as the environment variables that mean the same; later sources win."""
    files = [Path("/etc/pip.conf"), Path("/etc/xdg/pip/pip.conf"), Path.home() / ".pip/pip.conf"]
    files += [Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "pip/pip.conf"]
    files += [Path(sys.prefix) / "pip.conf"]
    files += [Path(os.environ["PIP_CONFIG_FILE"])] if os.environ.get("PIP_CONFIG_FILE") else []
    settings: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, OSError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                for name, value in parser.items(section):
                    settings["PIP_" + name.upper().replace("-", "_")] = " ".join(value.split())
    settings.update({name: value for name, value in os.environ.items() if re.fullmatch(r"PIP_[A-Z_]+", name)})
    for unwanted in ("PIP_CONFIG_FILE", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_CERT"):
        settings.pop(unwanted, None)
    return settings


def ca_bundle() -> Path | None:
    """The bundle of certificates this machine trusts, where it says so or where Debian keeps it."""
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        path = Path(os.environ.get(name) or "/nonexistent")
        if path.is_file():
            return path
    return CA_BUNDLE if CA_BUNDLE.is_file() else None


def _local_indexes(settings: dict[str, str]) -> tuple[dict[str, str], dict[Path, str]]:
    """Settings with folders of this machine renamed to where a build finds them, and those folders."""
    bound: dict[Path, str] = {}
    moved = dict(settings)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        words = []
        for word in settings.get(name, "").split():
            path = Path(word.removeprefix("file://"))
            if not path.is_absolute() or not path.is_dir():
                words.append(word)
                continue
            # the pages of an index name files beside it, so its parent folder comes along
            folder = path if name == "PIP_FIND_LINKS" or path.parent == Path("/") else path.parent
            place = bound.setdefault(folder, f"/lab/pip/{len(bound)}")
            words.append(f"file://{place}/{path.relative_to(folder)}".rstrip("/."))
        if words:
            moved[name] = " ".join(words)
    return moved, bound


def write_build_settings(folder: Path) -> dict[Path, str]:
    """Fills the folder a build sees as /lab, readable by root only; returns further folders to bind, and where."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("keyrings", "images", "kolla", "collections", "pip", "pip-cache"):
        (folder / name).mkdir(exist_ok=True)
    lines = []
    for source in apt_sources():
        option = ""
        if source.key and source.key.is_file():
            shutil.copy(source.key, folder / "keyrings" / source.key.name)
            option = f"[signed-by=/lab/keyrings/{source.key.name}] "
        lines.append(f"deb {option}{source.uri} {source.suite} {source.components}")
    (folder / "sources.list").write_text("\n".join(lines) + "\n")
    apt = [*apt_settings(), 'Dir::Etc::sourcelist "/lab/sources.list";', 'Dir::Etc::sourceparts "/dev/null";']
    apt += ['Dir::State::lists "/lab/apt-lists";', 'Acquire::Languages "none";', 'APT::Sandbox::User "root";']
    settings, bound = _local_indexes(pip_settings())
    settings |= {
        "PIP_CACHE_DIR": "/lab/pip-cache",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        if os.environ.get(name):
            settings[name] = os.environ[name]
    bundle = ca_bundle()
    if bundle:
        shutil.copy(bundle, folder / "ca.pem")
        settings |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), "/lab/ca.pem")
        apt.append('Acquire::https::CaInfo "/lab/ca.pem";')
    (folder / "apt.conf").write_text("\n".join(apt) + "\n")
    (folder / "apt-lists").mkdir(exist_ok=True)
    quoted = (f"{name}='{value}'" for name, value in sorted(settings.items()) if "'" not in value)
    (folder / "env").write_text("\n".join(quoted) + "\n")
    (folder / "env").chmod(0o600)
    return bound
