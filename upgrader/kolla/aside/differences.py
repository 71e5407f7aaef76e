"""The difference that each hop of a path makes in the rendered configuration, kept as a folder of texts per hop.

One read-only play asks the hosts for facts; each release of the path is then rendered once, on this machine. Facts,
renderings and placeholders live in a private folder that is removed again, whatever happens; what is kept shows no
secret. Takes minutes on a real cloud.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from upgrader.durable import make_dir, write_atomic
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.kolla.aside.compare import compare, read_rendering
from upgrader.kolla.aside.conceal import Mark, marker, placeholders
from upgrader.kolla.aside.render import Rendering, facts_play, render
from upgrader.kolla.commands import HasConfiguration
from upgrader.kolla.inventory import Inventory, missing_groups
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.kolla.vault import Vault
from upgrader.rendered import ConfigDifference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upgrader.graph import Hop
    from upgrader.runner.base import Cancelled, Runner

KEPT, WORK = "config-diff", ".rendering"
Say = Callable[[str], None]


class HasFolders(HasConfiguration, Protocol):
    """What is needed of a site here."""

    @property
    def toolchains_dir(self) -> Path: ...
    @property
    def state_dir(self) -> Path: ...


def differences(
    site: HasFolders,
    hops: Sequence[Hop],
    inventory: Inventory,
    runner: Runner,
    *,
    key: bytes = b"",
    variables: Iterable[tuple[str, object]] = (),
    say: Say = lambda _line: None,
    cancelled: Cancelled | None = None,
) -> tuple[ConfigDifference, ...]:
    """One account per hop, in order; `error` of one says why its difference could not be made.

    `variables` are those this tool's own plays need on the site's hosts; `key`, the site's own, makes the marks that
    stand for secrets the same in every run. Raises ConfigError for a passwords.yml or
    inventory that cannot be read; every other trouble is in the accounts.
    """
    chosen = representatives(inventory, site.config_dir)
    mark = marker(key or secrets.token_bytes(32))
    with _work_folder(site.state_dir) as work:
        facts = work / "facts"
        facts.mkdir(mode=0o700)
        toolchains = {release: _toolchain(site, release) for release in _releases(hops)}
        usable = [found for found in toolchains.values() if isinstance(found, Toolchain)]
        trouble = _read_facts(site, usable, inventory, runner, work, facts, variables, say) if usable else ""
        known = {file.stem for file in facts.glob("*.json")}
        hosts = [host for host, _ in chosen if host in known]
        rendered: dict[str, Rendering | str] = {}
        for release, toolchain in toolchains.items():
            if isinstance(toolchain, str) or not hosts:
                rendered[release] = toolchain if isinstance(toolchain, str) else f"no host gave its facts: {trouble}"
                continue
            say(f"Rendering the configuration of {release} for {len(hosts)} hosts, aside …")
            more = _groups_file(inventory, [hop for hop in hops if hop.target <= release], work / f"{release}.ini")
            rendered[release] = _rendered(site, toolchain, runner, work, hosts, facts, more, cancelled)
        return tuple(_account(site, hop, chosen, rendered, mark, trouble) for hop in hops)


def representatives(inventory: Inventory, config_dir: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(host, hosts it stands for), sorted: hosts of the same groups without files of their own need one rendering.

    Hosts that variables set apart are not known here: Ansible does not tell them without their values.
    """
    own = {part for file in (config_dir / "config").rglob("*") for part in file.parts} & inventory.hosts.keys()
    alike: dict[tuple[str, ...], list[str]] = {}
    for host in _cloud_hosts(inventory):
        groups = inventory.hosts[host]
        alike.setdefault((*sorted(groups), *([f"={host}"] if host in own else [])), []).append(host)
    return tuple(sorted((min(hosts), tuple(sorted(hosts))) for hosts in alike.values()))


def _cloud_hosts(inventory: Inventory) -> list[str]:
    """Hosts of kolla's own group of all hosts; in an inventory without it, all but a deployment host."""
    chosen = [host for host, groups in inventory.hosts.items() if "baremetal" in groups]
    return sorted(chosen or [host for host, groups in inventory.hosts.items() if not set(groups) <= {"deployment"}])


# ---------------------------------------------------------------- the parts


def _releases(hops: Sequence[Hop]) -> list[str]:
    return list(dict.fromkeys(release for hop in hops for release in (hop.source, hop.target)))


def _toolchain(site: HasFolders, release: str) -> Toolchain | str:
    try:
        return locate(site, release)
    except EnvironmentMissingError as error:
        return f"{error.message} {error.next_command}"


def _read_facts(
    site: HasFolders,
    toolchains: Sequence[Toolchain],
    inventory: Inventory,
    runner: Runner,
    work: Path,
    facts: Path,
    variables: Iterable[tuple[str, object]],
    say: Say,
) -> str:
    """Facts of every host, also of those that are only spoken of; the words of what did not go well."""
    hosts = _cloud_hosts(inventory)
    say(f"Reading the facts of {len(hosts)} hosts …")
    result = runner.run(facts_play(site, toolchains[0], hosts, facts, variables), work / "facts-play")
    return "" if result.verdict else result.message


def _rendered(
    site: HasFolders,
    toolchain: Toolchain,
    runner: Runner,
    work: Path,
    hosts: Sequence[str],
    facts: Path,
    more: tuple[Path, ...],
    cancelled: Cancelled | None,
) -> Rendering | str:
    vault = Vault(toolchain, site.vault_password_file) if site.vault_password_file else None
    passwords = work / f"{toolchain.release}.passwords.yml"
    write_atomic(passwords, placeholders(site.passwords, toolchain.example_passwords, vault).encode(), mode=0o600)
    try:
        return render(
            site,
            toolchain,
            runner,
            work / toolchain.release,
            hosts=hosts,
            facts=facts,
            passwords=passwords,
            more_inventory=more,
            cancelled=cancelled,
        )
    except UpgraderError as error:
        return error.message


def _groups_file(inventory: Inventory, hops: Sequence[Hop], path: Path) -> tuple[Path, ...]:
    """Groups that the hops so far add and the inventory lacks, as their samples have them."""
    lines: list[str] = []
    known = set(inventory.groups)
    for hop in hops:
        missing = {name: children for name, children in missing_groups(inventory, hop).items() if name not in known}
        known |= missing.keys()
        for name, children in missing.items():
            lines += [f"[{name}:children]", *(child for child in children if child in known), ""]
    if not lines:
        return ()
    write_atomic(path, "\n".join(lines).encode(), mode=0o600)
    return (path,)


def _account(
    site: HasFolders,
    hop: Hop,
    chosen: tuple[tuple[str, tuple[str, ...]], ...],
    rendered: dict[str, Rendering | str],
    mark: Mark,
    trouble: str,
) -> ConfigDifference:
    before, after = rendered[hop.source], rendered[hop.target]
    if isinstance(before, str) or isinstance(after, str):
        words = [side for side in (before, after) if isinstance(side, str)]
        return ConfigDifference(error="; ".join(dict.fromkeys(words)))
    texts = [read_rendering(side.root, mark, side.secret) for side in (before, after)]
    found = compare(*texts)
    errors = [f"{side.release}: {side.error}" for side in (before, after) if side.error]
    # two renderings of nothing are equal, which would look like good news
    errors += [
        f"{side.release}: no file was rendered" for side, text in zip((before, after), texts, strict=True) if not text
    ]
    # the folder of the work is nobody's business and different every time
    clean = str(site.state_dir)
    both = [
        {f"{side.release}: {line.replace(clean, '…')}" for line in getattr(side, name)}
        for name in ("left_out", "failed")
        for side in (before, after)
    ]
    files = {f"{service}.diff": text for service, text in found.texts.items()}
    account = ConfigDifference(
        services=found.services,
        hosts=chosen,
        left_out=tuple(sorted(both[0] | both[1])),
        failed=tuple(sorted(both[2] | both[3])),
        error="; ".join([*errors, *([f"facts: {trouble}"] if trouble else [])]),
    )
    files["account.json"] = json.dumps(account.document(), indent=1, sort_keys=True) + "\n"
    digest = _digest(files)
    folder = site.state_dir / KEPT / f"{hop.key}-{digest[:12]}"
    _keep(folder, files)
    return account.model_copy(update={"folder": str(folder), "sha256": digest})


def _digest(files: dict[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in sorted(files.items()):
        whole.update(f"{name}\0{len(text.encode())}\0{text}".encode())
    return whole.hexdigest()


def verify_kept(account: ConfigDifference) -> bool:
    """Whether the kept folder is what the account was made of; also True where there is none."""
    if not account.folder:
        return True
    folder = Path(account.folder)
    files = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} if folder.is_dir() else {}
    return _digest(files) == account.sha256


def _keep(folder: Path, files: dict[str, str]) -> None:
    make_dir(folder.parent, exist_ok=True)
    make_dir(folder, exist_ok=True)
    for name, text in files.items():
        write_atomic(folder / name, text.encode(), mode=0o600)


@contextmanager
def _work_folder(state_dir: Path) -> Iterator[Path]:
    """A private folder that goes away; the rest of one that a killed process left goes first."""
    above = state_dir / WORK
    make_dir(above, exist_ok=True)
    for left in above.iterdir():
        if not Path("/proc", left.name.partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    work = above / f"{os.getpid()}-{uuid.uuid4().hex}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
