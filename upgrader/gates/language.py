"""The language of conditions: Jinja expressions as in Ansible's `when:`, answered yes, no or unknown.

`and`, `or` and `not` follow Kleene: what is unknown stays unknown unless the rest decides (false and unknown is
false). Everything between them is a leaf, which is unknown as soon as anything it names is unknown, or it fails.
A name whose value differs between hosts makes the whole condition be judged host by host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from upgrader.errors import DataError
from upgrader.gates import terms
from upgrader.gates.names import Names, Reference, names_of
from upgrader.gates.words import Sight, Spread, listed, plain
from upgrader.value import Value

if TYPE_CHECKING:
    from upgrader.gates.leaves import Run
    from upgrader.gates.world import World

Answer = Literal["yes", "no", "unknown"]
OPPOSITE: Mapping[Answer, Answer] = {"yes": "no", "no": "yes", "unknown": "unknown"}


class NotAConditionError(DataError):
    """A text that is no condition; `position` is the character where that shows, counted from 1."""

    def __init__(self, text: str, why: str, at: int) -> None:
        self.why, self.position = why, at + 1
        here = plain(text[at : at + 40]) if at < len(text) else "the end"
        super().__init__(
            f"Not a condition: {why}, at character {at + 1}: {here}",
            details=(f"character {at + 1}: {why}",),
            reason="condition",
        )


class Judged(Value):
    """The answer of a condition for a site, and what it stands on."""

    answer: Answer
    evidence: tuple[str, ...] = ()
    """Values it was decided by: `enable_zun = true (globals.yml:12)`."""
    missing: tuple[str, ...] = ()
    """What is unknown, and how it can be made known."""
    hosts: tuple[str, ...] = ()
    """Hosts the answer is about, where it was judged host by host."""


# ---------------------------------------------------------------- the tree


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer on its way up the tree."""

    answer: Answer
    evidence: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


Ask = Callable[[Reference], Sight]
Look = Callable[[str, str], tuple[bool, str]]
"""(`configured` or `defined_in_release`, variable) → whether, with the evidence. Raises ValueError when unknown."""


@dataclass(frozen=True, slots=True)
class Leaf:
    run: Run

    def judge(self, ask: Ask, look: Look) -> _Said:
        sights = [ask(reference) for reference in self.run.references]
        gone = tuple(sight.said for sight in sights if sight.state == "absent")
        if gone:
            return _Said("no", gone)
        unknown = tuple(sight.said for sight in sights if sight.state == "unknown")
        if unknown:
            return _Said("unknown", (), unknown)
        told: list[str] = []

        def asked(what: str, name: str) -> bool:
            found, said = look(what, name)
            if found:
                told.append(said)
            return found

        values = {number: sight.value for number, sight in enumerate(sights) if sight.state == "known"}
        try:
            if self.run.bare and not values:
                raise ValueError
            holds = terms.boolean(values[0] if self.run.bare else self.run.compiled(values, asked))
        except Exception as error:  # whatever a value does to an expression: then it has no answer
            return _Said("unknown", (), self._why(sights, error))
        evidence = tuple(sight.said for sight in sights if sight.state == "known")
        return _Said("yes" if holds else "no", (*evidence, *told))

    def _why(self, sights: list[Sight], error: Exception) -> tuple[str, ...]:
        nowhere = tuple(sight.said for sight in sights if sight.state == "undefined")
        if nowhere:
            return nowhere
        values = listed([sight.said for sight in sights])
        return (f"{values}: {plain(str(error) or type(error).__name__, 120)}",)


@dataclass(frozen=True, slots=True)
class Not:
    part: Tree

    def judge(self, ask: Ask, look: Look) -> _Said:
        said = self.part.judge(ask, look)
        return _Said(OPPOSITE[said.answer], said.evidence, said.missing)


@dataclass(frozen=True, slots=True)
class Both:
    """All parts hold: one no decides, else one unknown keeps it open. `Either` is the same upside down."""

    parts: tuple[Tree, ...]
    decides: Answer = "no"

    def judge(self, ask: Ask, look: Look) -> _Said:
        all_ = [part.judge(ask, look) for part in self.parts]
        for said in all_:
            if said.answer == self.decides:
                return said
        evidence = tuple(line for said in all_ for line in said.evidence)
        missing = tuple(line for said in all_ for line in said.missing)
        if any(said.answer == "unknown" for said in all_):
            return _Said("unknown", evidence, missing)
        return _Said(OPPOSITE[self.decides], evidence)


Tree = Leaf | Not | Both


# ---------------------------------------------------------------- a condition


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. Knows nothing of any site; `judge` asks a world."""

    text: str
    tree: Tree
    references: tuple[Reference, ...]

    @property
    def names(self) -> Names:
        return names_of(self.references)

    def unless(self, other: Condition) -> Condition:
        """This one and not the other, for one host at a time where hosts differ."""
        return Condition(
            f"({self.text}) and not ({other.text})",
            Both((self.tree, Not(other.tree))),
            tuple(dict.fromkeys(self.references + other.references)),
        )

    def judge(self, world: World) -> Judged:
        """The answer for a site on a hop: yes when it is yes for any host, no only when it is no for every host."""
        sights = {reference: world.sight(reference) for reference in self.references}
        spread = {reference: sight for reference, sight in sights.items() if isinstance(sight, Spread)}
        plainly = {reference: sight for reference, sight in sights.items() if isinstance(sight, Sight)}
        if not spread:
            said = self.tree.judge(plainly.__getitem__, world.look)
            return _judged(said, ())
        alike: dict[tuple[str, ...], list[str]] = {}
        for host in world.hosts_of(spread):
            alike.setdefault(tuple(sight.at(host).key for sight in spread.values()), []).append(host)
        answers: list[tuple[_Said, list[str]]] = []
        for hosts in alike.values():
            here = {reference: sight.at(hosts[0]) for reference, sight in spread.items()}
            answers.append((self.tree.judge({**plainly, **here}.__getitem__, world.look), hosts))
        return _together(answers)


def _judged(said: _Said, hosts: tuple[str, ...]) -> Judged:
    evidence, missing = tuple(dict.fromkeys(said.evidence)), tuple(dict.fromkeys(said.missing))
    return Judged(answer=said.answer, evidence=evidence, missing=missing, hosts=hosts)


def _together(answers: list[tuple[_Said, list[str]]]) -> Judged:
    """One answer of those for groups of hosts that are alike; what is unknown on some hosts is told beside a yes."""
    for wanted in ("yes", "unknown", "no"):
        told = [(said, hosts) for said, hosts in answers if said.answer == wanted]
        if not told:
            continue
        evidence = [line for said, _ in told for line in said.evidence]
        missing = [
            line if len(answers) == 1 else f"{listed(hosts)}: {line}"
            for said, hosts in answers
            if wanted != "no" and said.answer == "unknown"
            for line in said.missing
        ]
        whole = _Said(
            "yes" if wanted == "yes" else "no" if wanted == "no" else "unknown", tuple(evidence), tuple(missing)
        )
        return _judged(whole, () if wanted == "no" else tuple(sorted(host for _, hosts in told for host in hosts)))
    return Judged(answer="unknown", missing=("no host was read",))


@cache
def compile_condition(text: str) -> Condition:
    """The condition of a text. Raises NotAConditionError (a DataError) with the position of what is wrong."""
    from upgrader.gates import sandbox

    try:
        references: dict[Reference, None] = {}
        tree = _tree(sandbox.parse(text), text, references)
    except sandbox.FaultError as fault:
        raise NotAConditionError(text, fault.why, fault.at) from None
    return Condition(text, tree, tuple(references))


def _tree(node: Any, text: str, references: dict[Reference, None]) -> Tree:
    from jinja2 import nodes

    from upgrader.gates.leaves import leaf

    if isinstance(node, nodes.Not):
        return Not(_tree(node.node, text, references))
    if isinstance(node, (nodes.And, nodes.Or)):
        parts = (_tree(node.left, text, references), _tree(node.right, text, references))
        return Both(parts, "no" if isinstance(node, nodes.And) else "yes")
    made = leaf(node, text)
    references.update(dict.fromkeys(made.references))
    return Leaf(made)
