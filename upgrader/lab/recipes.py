"""The images as data: what each is made from, in which order, and a digest that says whether it must be made again."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from upgrader.errors import UsageError

IMAGES = Path(str(files("upgrader.lab") / "images"))
NAMESPACE = "kolla"
DISTRIBUTION = "debian-bookworm"


@dataclass(frozen=True)
class Release:
    """The published versions that make up one release in the lab."""

    name: str
    kolla: str
    kolla_ansible: str
    ansible: str
    collections: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """One image to make. `reference` is its name in the registry, without the registry's address."""

    name: str
    release: Release | None
    parent: Image | None
    script: str
    bootstrap: bool = False
    fetch: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = "root"
    inputs: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def reference(self) -> str:
        if self.release is None:
            return f"lab/{self.name}:latest"
        return f"{NAMESPACE}/{self.name}:{self.release.name}-{DISTRIBUTION}"

    @property
    def key(self) -> str:
        """A name that is unique within one lab and fit for a log file."""
        return self.name if self.release is None else f"{self.name}-{self.release.name}"

    @cached_property
    def digest(self) -> str:
        """Changes whenever anything the image is made from changes, its parent included."""
        state = hashlib.sha256()
        described = [self.reference, self.bootstrap, self.fetch, self.env, self.entrypoint, self.command, self.user]
        described += [self.release.__dict__ if self.release and self.fetch else None]
        state.update(json.dumps(described).encode())
        for path in self.inputs:
            state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        state.update(self.parent.digest.encode() if self.parent else b"")
        return state.hexdigest()[:32]

    @property
    def labels(self) -> dict[str, str]:
        """Ours, and on the images of a release those that Kolla's Dockerfiles set."""
        ours = {"upgrader.lab.recipe": self.digest, "maintainer": "upgrader lab", "name": self.name}
        if self.release is not None:
            ours["kolla_version"] = self.release.kolla
        return ours


@cache
def releases() -> dict[str, Release]:
    raw = tomllib.loads((IMAGES.parent / "releases.toml").read_text())["release"]
    return {
        name: Release(name, row["kolla"], row["kolla_ansible"], row["ansible"], tuple(row["collections"]))
        for name, row in raw.items()
    }


def release(name: str) -> Release:
    """UsageError when the lab has no images for a release."""
    try:
        return releases()[name]
    except KeyError:
        raise UsageError(
            f"the lab cannot build release {name}; it knows {', '.join(releases())}", cloud="nothing was changed"
        ) from None


def _inputs(raw: dict[str, Any], of_release: Release | None) -> tuple[Path, ...]:
    script = raw.get("script")
    found = [IMAGES / "scripts" / str(script), IMAGES / "scripts" / "lib.sh"] if script else []
    for name in raw.get("files", ()):
        path = IMAGES / name.format(release=of_release.name if of_release else "")
        found += [path] if path.is_file() else sorted(inside for inside in path.rglob("*") if inside.is_file())
    return tuple(found)


def images(names: tuple[str, ...], *, cluster: bool, computes: bool = False) -> list[Image]:
    """Every image needed for these releases, parents before children.

    `cluster`: more than one controller, which takes load balancers; `computes`: hosts of their own for instances,
    which take Nova and what it needs. Either of them takes a message broker.
    """
    parts = {"cluster": cluster, "computes": computes, "broker": cluster or computes}
    table = tomllib.loads((IMAGES / "images.toml").read_text())["image"]
    made: dict[tuple[str, str], Image] = {}

    def make(name: str, of_release: Release | None) -> Image:
        raw = table[name]
        of_release = of_release if raw.get("per_release") else None
        known = (name, of_release.name if of_release else "")
        if known not in made:
            above = raw.get("parent_with_broker" if parts["broker"] else "parent", raw.get("parent"))
            parent = make(above, of_release) if above else None
            env = (dict(parent.env) if parent else {}) | raw.get("env", {})
            # shared images take Kolla's files from the first release: users and packages are the same in all
            source = of_release or (releases()[names[0]] if raw.get("fetch") else None)
            made[known] = Image(
                name=name,
                release=of_release,
                parent=parent,
                script=raw.get("script", ""),
                bootstrap=raw.get("bootstrap", False),
                fetch=tuple(f"{what}/{source.name}" for what in raw.get("fetch", ()) if source),
                env=tuple(env.items()),
                entrypoint=tuple(raw.get("entrypoint", parent.entrypoint if parent else ())),
                command=tuple(raw.get("command", parent.command if parent else ())),
                user=raw.get("user", "root"),
                inputs=_inputs(raw, of_release),
            )
        return made[known]

    for name, raw in table.items():
        if not parts.get(raw.get("when", ""), True):
            continue
        for of_release in names if raw.get("per_release") else names[:1]:
            make(name, release(of_release))
    return list(made.values())
