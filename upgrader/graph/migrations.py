"""Shape of `migrations.toml`: how each service migrates its databases."""

from __future__ import annotations

from typing import Literal

from upgrader.graph.schema import Shape, Sources, Text

Phase = Literal["expand", "migrate", "contract", "sync", "online"]


class Option(Shape):
    section: Text
    option: Text
    database: Text


class KeyFolder(Shape):
    """A folder of keys that the service's programs read, and the part of a backup set that holds them."""

    section: Text
    option: Text
    part: Text


class Step(Shape):
    phase: Phase
    command: tuple[Text, ...]


class ServiceMigrations(Shape):
    name: Text
    container: Text
    """Container of the target release whose image holds the same programs."""
    package: Text
    databases: tuple[Text, ...]
    config: tuple[Option, ...]
    config_cell: tuple[Option, ...] = ()
    """Options of a second configuration, named `$CELL` in commands."""
    keys: tuple[KeyFolder, ...] = ()
    status: tuple[Text, ...]
    """The service's own check before an upgrade: exit code 0 fine, 1 warnings, 2 failures."""
    asks_cloud: tuple[Text, ...] = ()
    """Of the service's own checks those that ask the running cloud or its configuration: a copy cannot answer them."""
    steps: tuple[Step, ...]


class Migrations(Shape):
    source: Sources
    services: tuple[ServiceMigrations, ...]
