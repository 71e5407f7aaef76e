"""OpenStack Swift with its S3 layer, whole but small: four real servers in one process, one device, one replica.

Run as a program: `python object_store.py FOLDER` serves on free ports of loopback until it is ended, and writes the
proxy's port to FOLDER/port once it answers. Account `test`, user `tester`, key as FOLDER/key holds it. What is not
real: tokens are remembered in this process instead of in memcached.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ACCOUNT, USER = "test", "tester"

_STORAGE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
log_level = ERROR
fallocate_reserve = 0
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

_PROXY = """
[DEFAULT]
swift_dir = {folder}
workers = 0
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck memory listing_formats bulk s3api tempauth slo dlo symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:memory]
paste.filter_factory = object_store:memory_factory
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {key} .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = no
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
"""


class Memory:
    """What Swift asks of its cache, kept in this process."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def get(self, key: str, raise_on_error: bool = False, **_: Any) -> Any:
        return self._kept.get(key)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._kept[key] = value

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        self._kept[key] = int(self._kept.get(key, 0)) + delta
        return int(self._kept[key])

    def delete(self, key: str, **_: Any) -> None:
        self._kept.pop(key, None)

    def get_multi(self, keys: list[str], server_key: str = "", **_: Any) -> list[Any]:
        return [self._kept.get(key) for key in keys]

    def set_multi(self, mapping: dict[str, Any], server_key: str = "", **_: Any) -> None:
        self._kept.update(mapping)


def memory_factory(_settings: Any, **_: Any) -> Any:
    memory = Memory()

    def around(application: Any) -> Any:
        def answer(environ: dict[str, Any], start: Any) -> Any:
            environ["swift.cache"] = memory
            return application(environ, start)

        return answer

    return around


def serve(folder: Path) -> None:
    import eventlet
    from swift.common import utils

    utils.eventlet_monkey_patch()
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = loopback\n")
    utils.set_swift_dir(str(folder))
    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in ("account", "container", "object", "proxy")}
    (folder / "devices" / "disk").mkdir(parents=True)
    for name in ("account", "container", "object"):
        _ring(folder, name, sockets[name].getsockname()[1])
        (folder / f"{name}.conf").write_text(_STORAGE.format(folder=folder, name=name))
    key = (folder / "key").read_text().strip()
    (folder / "proxy.conf").write_text(_PROXY.format(folder=folder, account=ACCOUNT, user=USER, key=key))
    running = [_start(folder / f"{name}.conf", sockets[name]) for name in sockets]
    (folder / "port.new").write_text(str(sockets["proxy"].getsockname()[1]))
    (folder / "port.new").rename(folder / "port")
    for one in running:
        one.wait()


def _ring(folder: Path, name: str, port: int) -> None:
    from swift.common.ring import RingBuilder

    builder = RingBuilder(2, 1, 0)
    address = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"region": 1, "zone": 1, "device": "disk", "weight": 1, **address})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{name}.ring.gz"))


def _start(settings: Path, listening: Any) -> Any:
    import eventlet
    import eventlet.wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.utils import NullLogger
    from swift.common.wsgi import loadapp

    application = loadapp(str(settings))
    return eventlet.spawn(eventlet.wsgi.server, listening, application, NullLogger(), protocol=SwiftHttpProtocol)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
