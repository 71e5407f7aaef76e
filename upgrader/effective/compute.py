"""Effective variables of one release: asked of that release's Ansible in one process, or remembered.

Owns what is done with the answer and with every way in which there is none: a locked vault, an unreadable file, a
template that fails. None of them is a crash, and none of them makes a value up.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.durable import make_dir
from upgrader.effective import remembered
from upgrader.effective.definitions import Members, configured, definitions_of
from upgrader.effective.own_files import OwnFiles, read_own_files
from upgrader.effective.question import TASK, facts_for_ansible, play_of, prepare, request_of
from upgrader.effective.released import Released
from upgrader.errors import ConfigError, UpgraderError
from upgrader.facts.plays import HasHosts, cloud_hosts
from upgrader.kolla.passwords import secret_values
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault
from upgrader.model import HostFacts
from upgrader.record import Effective, Variable
from upgrader.redact import Redactor
from upgrader.runner.base import PlayResult, Runner
from upgrader.secret_sources import identities as keys
from upgrader.secret_sources import sops

WITHHELD = "withheld: it holds a secret"
_LOCKED = ("no vault secrets", "ecryption failed", "no vault password", "vault-encrypted")
_VIPS = ("kolla_internal_vip_address", "kolla_external_vip_address")


def compute(
    site: Site,
    toolchain: Toolchain,
    inventory: HasHosts,
    names: Iterable[str],
    runner: Runner,
    folder: Path,
    *,
    hosts: Sequence[HostFacts] = (),
) -> Effective:
    """What `toolchain`'s Ansible makes of `names` on every host of the cloud, with who sets them where.

    A name that nobody defines in this release has no Variable. `hosts`, as observed, lend the facts that a few
    defaults need. `folder` must not exist; it is gone afterwards. Contacts no host. Never raises for the operator's
    files or for Ansible: `Effective.error` then names the file and what to do, and no variable is known.
    """
    release, wanted = toolchain.release, tuple(sorted(set(names)))
    try:
        own = read_own_files(site, release)
        locked = _locked(site, own)
        released = Released(toolchain)
        facts = facts_for_ansible(hosts, _interfaces(own), _virtual(own))
        cloud = cloud_hosts(inventory)
        key = remembered.key_of(site, released, own, {name: inventory.hosts[name] for name in cloud}, facts)
        setting = remembered.setting_of(own)
        known = remembered.recall(site, release, key, wanted, setting)
        if known is not None:
            return known
        request = request_of(wanted, cloud, released, own, facts, without=locked)
        answer, error = _asked(site, released, own, request, runner, folder, locked)
        if answer is None:
            return Effective(release=release, by="toolchain", error=error)
        redactor = Redactor(_secrets(site, toolchain, locked))
    except UpgraderError as trouble:
        return Effective(release=release, by="toolchain", error=trouble.message)
    except OSError as trouble:
        where = f"{trouble.filename} " if trouble.filename else ""
        return Effective(release=release, by="toolchain", error=f"{where}cannot be read: {trouble.strerror}")
    members = Members(_groups(inventory), cloud)
    variables = [_variable(name, said, released, own, members, answer) for name, said in answer["variables"].items()]
    found = Effective(
        release=release, by="toolchain", variables=tuple(_without_secrets(item, redactor) for item in variables)
    )
    if not locked:
        # an answer that does not tell what follows from the release's own setting: then everything may
        remembered.remember(site, key, found, wanted, setting, answer.get("follow", wanted))
    return found


def _interfaces(own: OwnFiles) -> str:
    """Where the names of interfaces that matter are written. Others come and go with servers on a compute host."""
    texts = [file.parsed.text for file in own.all if file.parsed and not file.secret]
    return "\n".join([*texts, *(text for _, text in own.inventory), "eth0"])


def _virtual(own: OwnFiles) -> frozenset[str]:
    """Virtual addresses as far as they are literals: they are no host's own."""
    entries = [entry for file in own.given for name in _VIPS if (entry := file.entry(name))]
    return frozenset(entry.text for entry in entries)


def _secrets(site: Site, toolchain: Toolchain, locked: Sequence[Path]) -> frozenset[str]:
    if locked or not site.passwords.exists():
        return frozenset()
    vault = Vault(toolchain, site.vault_password_file) if site.vault_password_file else None
    return secret_values(site.passwords, vault)


def _groups(inventory: HasHosts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, groups in inventory.hosts.items():
        for group in groups:
            found.setdefault(group, []).append(host)
    return found


def _locked(site: Site, own: OwnFiles) -> tuple[Path, ...]:
    """Encrypted files that nobody can open. Only passwords can be done without; raises ConfigError for another."""
    if keys.identities(site.vault_password_file):
        return ()
    sealed = [file for file in own.encrypted if not sops.is_sops(file.path.read_bytes())]  # those open by themselves
    for file in sealed:
        if not file.secret:
            raise ConfigError(
                f"{file.path} is encrypted with Ansible Vault, and no vault password file is named "
                "(upgrader.toml: secrets.vault_password_file)."
            )
    return tuple(file.path for file in sealed)


def _asked(
    site: Site,
    released: Released,
    own: OwnFiles,
    request: Mapping[str, Any],
    runner: Runner,
    folder: Path,
    locked: Sequence[Path],
) -> tuple[dict[str, Any] | None, str]:
    """(Ansible's answer, what kept it from one)."""
    if not request["hosts"]:
        return None, f"the inventory {site.inventory} has no host of the cloud"
    make_dir(folder)
    try:
        playbook = prepare(folder / "ask", released, request)
        result = runner.run(play_of(site, released, own, playbook, without=locked), folder / "play")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = result.collected.get(TASK, {}).get("localhost", {}).get("answer")
    if not isinstance(said, str):
        return None, _why(site, own, result)
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        return None, "Ansible's answer cannot be read"
    return answer, ""


def _why(site: Site, own: OwnFiles, result: PlayResult) -> str:
    words = " ".join(result.message.split())
    named = [str(file.path) for file in own.all if str(file.path) in words]
    if any(sign in words for sign in _LOCKED):
        sealed = named or [str(file.path) for file in own.encrypted] or ["a value in the site's files"]
        key = site.vault_password_file
        reason = f"{keys.named(key)} does not open it" if key else "no vault password file is named"
        return f"wrong vault password for {sealed[0]}: {reason} (upgrader.toml: secrets.vault_password_file)"
    words = re.sub(r"The offending line appears.*", "", words)
    return f"Ansible could not compute the variables: {words[:500]}"


def _variable(
    name: str,
    said: Mapping[str, Any],
    released: Released,
    own: OwnFiles,
    members: Members,
    answer: Mapping[str, Any],
) -> Variable:
    secret = bool(said["secret"])
    definitions = definitions_of(name, released, own, members, answer, secret=secret)
    answers = said["answers"]
    everywhere = len(answers) == 1 and not answers[0]["hosts"]
    errors = [item for item in answers if item["error"]]
    per_host = sorted((host, item["value"]) for item in answers for host in item["hosts"] if item["value"] is not None)
    return Variable(
        name=name,
        value=answers[0]["value"] if everywhere else None,
        per_host=() if everywhere else tuple(per_host),
        configured=configured(definitions),
        definitions=definitions,
        error=_words(errors),
        secret=secret,
    )


def _words(errors: Sequence[Mapping[str, Any]]) -> str:
    """Two hosts' reasons say enough; those of the others are mostly the same with another host's name."""
    placed = list(dict.fromkeys(_placed(item) for item in errors))
    more = f"; and so on {sum(len(item['hosts']) for item in errors[2:])} more hosts" if len(placed) > 2 else ""
    return "; ".join(placed[:2]) + more


def _placed(item: Mapping[str, Any]) -> str:
    hosts = item["hosts"]
    if not hosts:
        return str(item["error"])
    more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
    return f"{', '.join(hosts[:3])}{more}: {item['error']}"


def _without_secrets(variable: Variable, redactor: Redactor) -> Variable:
    """The last look before anything leaves: a text that holds a known secret is not told."""
    hidden = variable.error.endswith(WITHHELD)
    definitions = tuple(
        item.model_copy(update={"text": ""}) if hidden or redactor.text(item.text) != item.text else item
        for item in variable.definitions
    )
    texts = [variable.value or "", *(text for _, text in variable.per_host)]
    update: dict[str, Any] = {"definitions": definitions, "error": redactor.text(variable.error)}
    if not variable.secret and any(redactor.text(text) != text for text in texts):
        update |= {"value": None, "per_host": (), "error": WITHHELD}
    return variable.model_copy(update=update)
