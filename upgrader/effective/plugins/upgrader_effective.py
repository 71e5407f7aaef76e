"""Action plugin: what this Ansible makes of named variables on every host of the inventory. Contacts no host.

Copied beside a link to a release's group_vars, so that Ansible's own rules of precedence apply; role defaults are
added below everything else. Runs under ansible-core 2.14 to 2.20 and Python 3.9 or newer, and knows nothing
of the rest of this tool: `request.json` beside the playbook says what to answer. Secrets stay in this process:
of a password only whether it is set is answered, and what holds one is withheld.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_THIS_HOST = re.compile(r"kolla_address(?!\s*\(\s*[A-Za-z_'\"])|\b(?:lookup|query|q|vars|varnames)\b")
"""What may look at the host in question without naming a variable of it."""
_SHORTEST = 6
"""Shorter values of passwords are ordinary words (as in kolla/passwords.py); what is derived from them is known."""
_LONGEST_ERROR = 400
_ENOUGH = 8
"""Hosts on which a variable has to fail, each for itself, before it is unknown on all others too."""
OWN_NAME = "inventory_hostname"
RELEASE = "openstack_release"
_ANYTHING = frozenset({"vars", "varnames", "lookup", "query", "q"})
"""Words of a template with which it may look at variables that it does not name."""
_MISSING = object()
WITHHELD = "withheld: it holds a secret"

Vars = dict[str, Any]
Texts = frozenset[str]


class ActionModule(ActionBase):  # type: ignore[misc] # ansible has no types
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Vars | None = None) -> Vars:
        request = json.loads((Path(self._loader.get_basedir()) / "request.json").read_text(encoding="utf-8"))
        world = World(self._loader, (task_vars or {})["hostvars"], request)
        # one string: results are transformed on their way out, text is not
        return {"changed": False, "answer": json.dumps(answer(world, request))}


def answer(world: World, request: Vars) -> Vars:
    sealed = {path: sorted(world.load(path)) for path in request["encrypted"]}
    secrets = Secrets(world, request, {name for names in sealed.values() for name in names})
    asked = [name for name in request["names"] if world.known(name)]
    return {
        "variables": {name: computed(world, secrets, name) for name in asked},
        "inventory": inventory_definitions(world, secrets, request["names"]),
        "encrypted": {path: sorted(set(names) & set(request["names"])) for path, names in sealed.items()},
        "roles": {name: world.roles_of[name] for name in asked if name in world.roles_of},
        "follow": following(world, secrets, asked),
    }


def following(world: World, secrets: Secrets, asked: list[str]) -> list[str]:
    """Which variables may have another value where the release is set to something else; more rather than fewer.

    All of them where that holds for a secret, because whatever holds a secret is withheld.
    """
    signs = _ANYTHING | {RELEASE}

    def follows(name: str) -> bool:
        return any(world.closure(name, host) & signs for host in world.hosts if world.defined(name, host))

    if any(follows(name) for name in secrets.names):
        return asked
    return [name for name in asked if follows(name)]


def computed(world: World, secrets: Secrets, name: str) -> Vars:
    """Answers in the order in which hosts first gave them; one without hosts is everybody's."""
    if name in secrets.names:
        return {"secret": True, "answers": [secrets.is_set(name)]}
    found: list[tuple[Vars, str | None, str, list[str]]] = []
    for host in world.hosts:
        if not world.defined(name, host):
            continue
        for snapshot, _, _, hosts in found:
            # a value that depends on the host's name is nobody else's
            if OWN_NAME not in snapshot and all(world.same(key, value, host) for key, value in snapshot.items()):
                hosts.append(host)
                break
        else:
            if len(found) >= _ENOUGH and all(error for _, _, error, _ in found):
                # unknown on host after host: the next of a thousand is called unknown without being tried
                found[-1][3].append(host)
                continue
            value, error = secrets.kept(name, *world.value(name, host), closure=world.closure(name, host))
            found.append((world.snapshot(name, host), value, error, [host]))
    merged: dict[tuple[str | None, str], list[str]] = {}
    for _, value, error, hosts in found:
        merged.setdefault((value, error), []).extend(hosts)
    alone = len(merged) == 1 and len(next(iter(merged.values()))) == len(world.hosts)
    return {
        "secret": False,
        "answers": [
            {"value": value, "error": error, "hosts": [] if alone else hosts}
            for (value, error), hosts in merged.items()
        ],
    }


def inventory_definitions(world: World, secrets: Secrets, names: list[str]) -> list[Vars]:
    """What the inventory itself (not files of variables beside it) says of `names`, weakest first."""
    inventory = world.hostvars._inventory
    found = []
    groups = sorted(inventory.groups.values(), key=lambda group: (group.depth, group.priority, group.name))
    for kind, entities in (("group", groups), ("host", [inventory.get_host(host) for host in world.hosts])):
        for entity in entities:
            said = {name: entity.vars[name] for name in names if name in entity.vars} if entity else {}
            for name, value in said.items():
                text = "" if name in secrets.names or sealed_inside(value) else secrets.masked(plain(value))
                found.append({"name": name, "kind": kind, "entity": str(entity.name), "text": text})
    return found


class World:
    """Variables host by host: the first host's whole, of the others what differs, so that 1000 hosts fit."""

    def __init__(self, loader: Any, hostvars: Any, request: Vars) -> None:
        self.loader, self.hostvars = loader, hostvars
        # an inventory that is a program may name other hosts than when it was read before
        self.hosts: list[str] = [host for host in request["hosts"] if host in hostvars]
        if not self.hosts:
            raise AnsibleError("none of the cloud's hosts is in the inventory any more")
        self._playbooks = request["playbooks"]
        self._cache: dict[str, Vars] = {}
        self._original = hostvars.raw_get
        # only in this worker's copy: templates that ask one host's variables for every other host stay affordable
        hostvars.raw_get = self.raw
        for host, facts in request["facts"].items():
            hostvars._variable_manager.set_host_facts(host, facts)
        self.role_defaults = {role: self.load(path) for role, path in request["roles"].items()}
        self.defaults, self.roles_of = self._flat()
        self._names_in: dict[str, Texts] = {}
        self._closures: dict[str, tuple[Texts, str]] = {}
        self.own: dict[str, Vars] = {}
        self.base = self.raw(self.hosts[0])
        self._templar = Templar(loader=loader, variables={})
        self.varying: set[str] = set()
        for host in self.hosts[1:]:
            self.own[host] = self._difference(self._original(host))
            self.varying.update(self.own[host])

    def raw(self, host: str) -> Any:
        """A host's variables as `hostvars` has them; rebuilt rather than computed again."""
        if host not in self._cache:
            if len(self._cache) > 40:
                self._cache.clear()
            if host in self.own:
                found = dict(self.base)
                found.update(self.own[host])
                self._cache[host] = {key: value for key, value in found.items() if value is not _MISSING}
            else:
                self._cache[host] = self._original(host)
        return self._cache[host]

    def load(self, path: str) -> Vars:
        more = {}
        if "trusted_as_template" in inspect.signature(self.loader.load_from_file).parameters:
            more["trusted_as_template"] = True
        found = self.loader.load_from_file(path, **more)
        return found if isinstance(found, dict) else {}

    def _flat(self) -> tuple[Vars, dict[str, list[str]]]:
        """Every role's defaults in one, the role with the closest name first, and which roles have which name."""
        roles: dict[str, list[str]] = {}
        for role, defaults in self.role_defaults.items():
            for name in defaults:
                roles.setdefault(name, []).append(role)
        for name, several in roles.items():
            several.sort(key=lambda role: (-_kinship(name, role), role))
        return {name: self.role_defaults[several[0]][name] for name, several in roles.items()}, roles

    def _difference(self, other: Vars) -> Vars:
        found = {key: value for key, value in other.items() if not _equal(self.base.get(key, _MISSING), value)}
        found.update((key, _MISSING) for key in self.base.keys() - other.keys())
        return found

    def get(self, name: str, host: str) -> Any:
        """As Ansible has it for a host, not evaluated; _MISSING when only roles or nobody define it."""
        own = self.own.get(host, {})
        return own[name] if name in own else self.base.get(name, _MISSING)

    def same(self, name: str, value: Any, host: str) -> bool:
        return _equal(self.get(name, host), value)

    def defined(self, name: str, host: str) -> bool:
        return name in self.defaults or self.get(name, host) is not _MISSING

    def known(self, name: str) -> bool:
        return any(self.defined(name, host) for host in (self.hosts if name in self.varying else self.hosts[:1]))

    def variables(self, name: str, host: str) -> Vars:
        """Everything a template of `name` may refer to; a role's own defaults win over those of other roles."""
        own = self.own.get(host, {})
        known = dict(self.defaults)
        if self.get(name, host) is _MISSING:
            known.update(self.role_defaults[self.roles_of[name][0]])
        known.update(self.base)
        for key, value in own.items():
            if value is not _MISSING:
                known[key] = value
            elif key in self.defaults:
                known[key] = self.defaults[key]
            else:
                known.pop(key, None)
        known.update(hostvars=self.hostvars, playbook_dir=self._playbooks)
        if "vars" in self.closure(name, host):
            known["vars"] = dict(known)
        return known

    def closure(self, name: str, host: str) -> Texts:
        """The variables that a value depends on, as far as its text tells; more rather than fewer."""
        stamp = host if self.varying & self._closures.get(name, (frozenset(), ""))[0] else self.hosts[0]
        if name in self._closures and self._closures[name][1] == stamp:
            return self._closures[name][0]
        seen, todo = {name}, [name]
        while todo:
            current = todo.pop()
            value = self.get(current, host)
            value = self.defaults.get(current) if value is _MISSING else value
            fresh = [found for found in self._mentioned(value) if found not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        self._closures[name] = (frozenset(seen), host)
        return self._closures[name][0]

    def _mentioned(self, value: Any) -> Texts:
        found: set[str] = set()
        for text in templates(value):
            if text not in self._names_in:
                names = set(_NAME.findall(text))
                if _OF_THIS_HOST.search(text):
                    names.add(OWN_NAME)
                self._names_in[text] = frozenset(names)
            found |= self._names_in[text]
        return frozenset(found)

    def snapshot(self, name: str, host: str) -> Vars:
        """The host's values of what `name` depends on and what is not everybody's: who has the same, has the same."""
        names = self.closure(name, host) & self.varying
        return {key: self.get(key, host) for key in names}

    def value(self, name: str, host: str) -> tuple[Any, str]:
        """(value, error) as this Ansible evaluates it."""
        variables = self.variables(name, host)
        if self.get(name, host) is _MISSING and self._ambiguous(name):
            several = self.roles_of[name]
            return None, "the roles {} have different defaults for it".format(", ".join(sorted(several)))
        try:
            # one for all, so that a template is compiled once
            self._templar.available_variables = variables
            return self._templar.template(variables[name]), ""
        except Exception as trouble:  # Ansible, Jinja and filters raise whatever they like
            return None, _words(trouble, self.closure(name, host))

    def _ambiguous(self, name: str) -> bool:
        several = self.roles_of[name]
        if _kinship(name, several[0]) > 0:
            return False
        first = self.role_defaults[several[0]][name]
        return any(not _equal(self.role_defaults[role][name], first) for role in several[1:])


class Secrets:
    """Which variables are secret, and the values that must not be answered by anyone else's name."""

    def __init__(self, world: World, request: Vars, sealed: set[str]) -> None:
        self._world = world
        released = set(request["released"]) | set(world.defaults)
        hidden = {name for name in world.base if sealed_inside(world.base[name])}
        # what is written in an encrypted file is secret, unless it is one of kolla-ansible's own settings
        self.names = set(request["secret"]) | hidden | (sealed - released)
        self.names |= {name for own in world.own.values() for name in own if sealed_inside(own[name])}
        self.values: set[str] = set()
        for name in self.names:
            for host in world.hosts if name in world.varying else world.hosts[:1]:
                if world.defined(name, host):
                    self.values |= set(_forms(world.value(name, host)[0]))

    def is_set(self, name: str) -> Vars:
        for host in self._world.hosts:
            if not self._world.defined(name, host):
                continue
            value, error = self._world.value(name, host)
            if error:
                return {"value": None, "error": self.masked(error), "hosts": []}
            if not any(leaves(value)):
                return {"value": "false", "error": "", "hosts": []}
            if name not in self._world.varying:
                break
        return {"value": "true", "error": "", "hosts": []}

    def kept(self, name: str, value: Any, error: str, *, closure: Texts) -> tuple[str | None, str]:
        """The value as JSON text, or why it is not told."""
        if error:
            return None, self.masked(error)
        told = isinstance(value, (bool, int, float)) or value is None
        if not told and (closure & self.names or self._holds(value)):
            return None, WITHHELD
        return plain(value), ""

    def _holds(self, value: Any) -> bool:
        return any(secret in text for text in strings(value) for secret in self.values)

    def masked(self, text: str) -> str:
        return WITHHELD if any(secret in text for secret in self.values) else text


def _forms(value: Any) -> Iterator[str]:
    for text in leaves(value):
        for part in {text, text.strip(), *text.splitlines()}:
            if len(part) >= _SHORTEST and not part.startswith(("-----", "ssh-rsa ", "ecdsa-", "ssh-ed25519 ")):
                yield part


def strings(value: Any) -> Iterator[str]:
    """Every text inside a value, keys of mappings too."""
    if isinstance(value, dict):
        for key in value:
            yield str(key)
    yield from leaves(value)


def leaves(value: Any) -> Iterator[str]:
    """Every scalar inside a value as text; what is encrypted by itself is opened."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and value is not _MISSING:
        yield str(value)


def templates(value: Any) -> Iterator[str]:
    """Every template inside a value not yet evaluated; what is encrypted stays closed."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from templates(key)
            yield from templates(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from templates(inner)
    elif isinstance(value, str) and type(value).__name__ not in _SEALED and ("{{" in value or "{%" in value):
        yield str(value)


_SEALED = ("AnsibleVaultEncryptedUnicode", "EncryptedString")
"""What `!vault` becomes: before ansible-core 2.19, and since."""


def sealed_inside(value: Any) -> bool:
    """Whether a value not yet evaluated has a part that is encrypted by itself."""
    if type(value).__name__ in _SEALED:
        return True
    if isinstance(value, dict):
        return any(sealed_inside(inner) for inner in value.values())
    return isinstance(value, (list, tuple)) and any(sealed_inside(inner) for inner in value)


def plain(value: Any) -> str:
    return json.dumps(value, default=str)


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # an encrypted value that cannot be opened
        return False


def _kinship(name: str, role: str) -> int:
    """How much of a variable's name is its role's: `nova_cell_x` is closer to nova-cell than to nova."""
    prefix = role.replace("-", "_") + "_"
    return len(prefix) if name.startswith(prefix) else 0


def _words(trouble: BaseException, closure: Texts) -> str:
    said = " ".join(str(getattr(trouble, "message", "") or trouble).split())[:_LONGEST_ERROR]
    if "ansible_facts" in closure or re.search(r"ansible_(?:facts|default_ipv4)|\bInterface '", said):
        return "it needs facts of the host: " + said
    return said or type(trouble).__name__
