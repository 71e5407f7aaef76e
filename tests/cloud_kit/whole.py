"""A cloud of folder hosts with a real database server and a small Keystone, ready to be looked at and backed up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upgrader.facts.observe import observe
from upgrader.model import CloudFacts
from upgrader.runner.ansible import AnsibleRunner

from .facts import names
from .hosts import ADMIN_PASSWORD, PASSWORD, FolderCloud, container, make_cloud
from .keystone import Keystone, running_keystone
from .server import Server, running_server

SMILE = "\U0001f600"
SCHEMAS = f"""
CREATE DATABASE keystone CHARACTER SET utf8mb4; USE keystone;
CREATE TABLE alembic_version (version_num VARCHAR(32));
INSERT INTO alembic_version VALUES ('47147121'), ('c88cdce8f248');
CREATE TABLE user (id INT PRIMARY KEY, name VARCHAR(50), secret BLOB);
INSERT INTO user VALUES (1, '{SMILE}', x'00ff'), (2, 'b', '');
CREATE TABLE service (id INT, type VARCHAR(20)); INSERT INTO service VALUES (1, 'identity');
CREATE TABLE endpoint (id INT, service_id INT, interface VARCHAR(20), url VARCHAR(100), enabled INT, region_id INT);
INSERT INTO endpoint VALUES (1, 1, 'public', 'http://outside', 1, 1), (2, 1, 'internal', 'KEYSTONE/v3/', 1, 1);
CREATE DATABASE heat; USE heat;
CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('c6214ca60943');
CREATE TABLE migrate_version (repository_id VARCHAR(20), repository_path VARCHAR(20), version INT);
INSERT INTO migrate_version VALUES ('heat', 'x', 86);
CREATE TABLE stack (id INT); CREATE VIEW stacks AS SELECT id FROM stack;
CREATE TRIGGER counted BEFORE INSERT ON stack FOR EACH ROW SET NEW.id = NEW.id + 100;
CREATE PROCEDURE answer() SELECT 42;
GRANT ALL ON keystone.* TO 'keystone'@'%' IDENTIFIED BY 'abc';
GRANT SELECT, RELOAD ON *.* TO 'backup'@'localhost' IDENTIFIED BY 'xyz';
"""


@dataclass
class WholeCloud:
    folders: FolderCloud
    server: Server
    keystone: Keystone
    scratch: Path
    plays: int = 0

    @property
    def runner(self) -> AnsibleRunner:
        return AnsibleRunner(secrets=[PASSWORD, ADMIN_PASSWORD])

    def folder(self) -> Path:
        self.plays += 1
        return self.scratch / f"play{self.plays}"

    def look(self) -> CloudFacts:
        made = self.folders
        return observe(made.site, made.toolchain, self.runner, self.folder(), names(), inventory=made.inventory)


@contextmanager
def whole_cloud(root: Path) -> Iterator[WholeCloud]:
    """Two controllers with database and Keystone, one compute host."""
    with running_server(root) as server, running_keystone() as keystone:
        server.sql(SCHEMAS.replace("KEYSTONE", keystone.url))
        controllers = ["ctl1", "ctl2"]
        groups = {"control": controllers, "mariadb": controllers, "keystone": controllers, "compute": ["cmp1"]}
        made = make_cloud(root / "site", groups, server.socket)
        for host in controllers:
            services = ("keystone", "keystone_fernet", "heat_api", "mariadb", "memcached")
            made.put(host, *(container(name, health="healthy") for name in services))
            keys = made.host(host) / "fs/etc/keystone/fernet-keys"
            keys.mkdir(parents=True)
            for number in (0, 1):
                (keys / str(number)).write_text(f"fernet key {number} of {host}")
        made.put("cmp1", container("nova_compute"), container("cron"))
        yield WholeCloud(made, server, keystone, root)
