"""`cp` of the sandbox's engine: folders of a container's volumes out of and into it, as tar streams."""

from __future__ import annotations

import io
import os
import sys
import tarfile

from upgrader.sandbox import identity, world

_KEYSTONE_ID = 42425
"""User and group id of keystone in Kolla's images (kolla/common/users.py)."""
_VOLUMES = {
    ("keystone", "/etc/keystone/fernet-keys"): identity.KEYS,
    ("keystone", "/etc/keystone/credential-keys"): "keystone_credential_keys",
}


def _volume(host: world.Host, container: str, path: str) -> str:
    if host.container(container) is None:
        _refuse(f"Error response from daemon: No such container: {container}")
    family = container.partition("_")[0]
    name = _VOLUMES.get((family, path.rstrip("/")))
    return host.volume(name) if name else ""


def _refuse(message: str) -> None:
    from upgrader.sandbox.engine import Refusal

    raise Refusal(message)


def out(host: world.Host, container: str, path: str) -> None:
    """Tar of the folder `path` to stdout, its own name first, with the owner it has in the container."""
    folder = _volume(host, container, path)
    if not folder or not os.path.isdir(folder):  # noqa: PTH112
        _refuse(f"Error response from daemon: Could not find the file {path} in container {container}")
    base = path.rstrip("/").rpartition("/")[2]
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        tar.addfile(_member(f"{base}/", 0, 0o770, tarfile.DIRTYPE))
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            with open(f"{folder}/{name}", "rb") as stream:  # noqa: PTH123
                data = stream.read()
            tar.addfile(_member(f"{base}/{name}", len(data), 0o600, tarfile.REGTYPE), io.BytesIO(data))


def into(host: world.Host, container: str, path: str) -> None:
    """Unpack the tar on stdin into `path`; files that are not in it stay."""
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            base, _, name = member.name.strip("/").partition("/")
            folder = _volume(host, container, f"{path.rstrip('/')}/{base}")
            if not folder or "/" in name or name in (".", ".."):
                _refuse(f"Error response from daemon: Could not find the file {path} in container {container}")
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
            source = tar.extractfile(member)
            if name and source is not None:
                _write(f"{folder}/{name}", source.read())


def _write(path: str, data: bytes) -> None:
    from upgrader.sandbox import store

    store.write_bytes(path, data)


def _member(name: str, size: int, mode: int, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.type = size, mode, kind
    member.uid = member.gid = _KEYSTONE_ID
    return member
