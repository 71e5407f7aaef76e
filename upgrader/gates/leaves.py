"""The leaves of a condition: what they may do, what they are given, and the functions Jinja's sandbox makes of them.

Everything not listed here is refused before anything is compiled: no calls, no loops, no powers. A leaf never sees
the site record: what it names is handed to it as plain JSON values under names of our own, so that neither an
expression nor a hostile value can reach anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.runtime import Undefined
from jinja2.visitor import NodeTransformer

from upgrader.gates import terms
from upgrader.gates.names import Reference, reference
from upgrader.gates.sandbox import Asked, FaultError, sandbox

_ALLOWED = (
    nodes.Const, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
    nodes.Neg, nodes.Pos, nodes.Concat, nodes.CondExpr, nodes.Slice, nodes.Keyword,
)  # fmt: skip
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "nothing can be called here; use a test or a filter",
    nodes.Pow: "powers are not allowed",
}
_TRUTHS = ("yes", "no", "true", "false", "on", "off")
_INNER = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1, "map": 0}
"""Filters that name a test or filter → which argument does."""


@dataclass(frozen=True, slots=True)
class Run:
    """A compiled leaf: what it has to be given, and the function that answers."""

    references: tuple[Reference, ...]
    bare: bool
    """It is a name, or a name with `| bool`: Jinja is not needed to answer."""
    compiled: Callable[[Mapping[int, Any], Asked], Any]
    """(value by number of the reference; what is not there is undefined) → result. Raises whatever goes wrong."""


class _Binder(NodeTransformer):
    """Puts names of our own in the place of everything a leaf names, and refuses what is not allowed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.references: list[Reference] = []

    def refuse(self, why: str, near: str = "") -> NoReturn:
        raise FaultError(why, max(self.text.find(near), 0) if near else 0)

    def bound(self, found: Reference) -> nodes.Name:
        if found not in self.references:
            self.references.append(found)
        return nodes.Name(f"r{self.references.index(found)}", "load", lineno=1)

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if not isinstance(node, _ALLOWED):
            self.refuse(_WORDS.get(type(node), f"{type(node).__name__.lower()} is not allowed here"))
        kept: nodes.Node = super().generic_visit(node, *args, **kwargs)
        return kept

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - Jinja's naming
        return self._chain(node)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        return self._chain(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        return self._chain(node)

    def _chain(self, node: nodes.Expr) -> nodes.Node:
        """`observed.rabbitmq.version`: as much of it as one reference covers, the rest as parts of its value."""
        links: list[nodes.Getattr | nodes.Getitem] = []
        base: nodes.Expr = node
        start: nodes.Expr
        while isinstance(base, (nodes.Getattr, nodes.Getitem)):
            links.insert(0, base)
            base = base.node
        if not isinstance(base, nodes.Name):
            start, taken = self.visit(base), 0
        else:
            keys: list[str] = []
            for link in links:
                key = nodes.Const(link.attr) if isinstance(link, nodes.Getattr) else link.arg
                if not isinstance(key, nodes.Const) or not isinstance(key.value, str):
                    break
                keys.append(key.value)
            try:
                found, taken = reference(base.name, tuple(keys))
            except ValueError as error:
                self.refuse(str(error), base.name)
            start = self.bound(found)
        for link in links[taken:]:
            if isinstance(link, nodes.Getattr):
                if link.attr.startswith("_"):
                    self.refuse(f"{link.attr} is not allowed here", link.attr)
                start = nodes.Getattr(start, link.attr, "load", lineno=1)
            else:
                start = nodes.Getitem(start, self.visit(link.arg), "load", lineno=1)
        start.set_environment(sandbox())
        return start

    def visit_Not(self, node: nodes.Not) -> nodes.Node:  # noqa: N802
        return nodes.Not(_boolean(self.visit(node.node)))

    def visit_And(self, node: nodes.And) -> nodes.Node:  # noqa: N802
        return nodes.And(_boolean(self.visit(node.left)), _boolean(self.visit(node.right)))

    def visit_Or(self, node: nodes.Or) -> nodes.Node:  # noqa: N802
        return nodes.Or(_boolean(self.visit(node.left)), _boolean(self.visit(node.right)))

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        if node.expr2 is None:
            self.refuse("if needs an else", "if")
        return nodes.CondExpr(_boolean(self.visit(node.test)), self.visit(node.expr1), self.visit(node.expr2))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        sides = (node.expr, *(operand.expr for operand in node.ops if operand.op in ("eq", "ne")))
        if len(sides) > 1 and any(map(_is_truth, sides)) and not any(map(_is_boolean, sides)):
            self.refuse("yes and true differ for ==; write the name alone, or not and the name", "=")
        return self.generic_visit(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self._named(node, "filter", sandbox().filters)
        if node.node is None:
            self.refuse("a filter needs a value", node.name)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self._named(node, "test", sandbox().tests)
        if node.name in ("configured", "defined_in_release"):
            name = node.node.value if isinstance(node.node, nodes.Const) else None
            if not isinstance(name, str):
                self.refuse(f"{node.name} asks for the name of a variable, in quotes", node.name)
            return self.bound(Reference("configured" if node.name == "configured" else "defined_in_release", (name,)))
        if node.name in ("eq", "equalto", "==", "ne", "!=") and any(map(_is_truth, node.args)):
            self.refuse("yes and true differ; write the name alone, or not and the name", node.name)
        return self.generic_visit(node)

    def _named(self, node: nodes.Filter | nodes.Test, kind: str, there: Mapping[str, Any]) -> None:
        if node.name not in there:
            self.refuse(f"there is no {kind} {node.name}", node.name)
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self.refuse("* and ** are not allowed here", "*")
        given = [argument.value if isinstance(argument, nodes.Const) else None for argument in node.args]
        if node.name in terms.PATTERNS:
            self._pattern(node.name, given[:1] or [None])
        inner = _INNER.get(node.name)
        if inner is None or kind == "test" or (node.name == "map" and not node.args):
            return
        known = sandbox().filters if node.name == "map" else sandbox().tests
        if len(given) <= inner or given[inner] not in known:
            self.refuse(f"{node.name} needs a known {'filter' if node.name == 'map' else 'test'} in quotes", node.name)
        if given[inner] in terms.PATTERNS:
            self._pattern(node.name, given[inner + 1 : inner + 2] or [None])

    def _pattern(self, near: str, given: list[Any]) -> None:
        fault = terms.pattern_fault(given[0])
        if fault:
            self.refuse(fault, near)


def _boolean(node: nodes.Expr) -> nodes.Expr:
    """Ansible's truth, in which the text `no` is false, instead of Python's."""
    made = nodes.Filter(node, "bool", [], [], None, None, lineno=1)
    made.set_environment(sandbox())
    return made


def _is_truth(node: nodes.Node) -> bool:
    value = node.value if isinstance(node, nodes.Const) else None
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in _TRUTHS)


def _is_boolean(node: nodes.Node) -> bool:
    return isinstance(node, (nodes.Test, nodes.Compare)) or (isinstance(node, nodes.Filter) and node.name == "bool")


def leaf(tree: nodes.Expr, text: str) -> Run:
    """One leaf of a condition, ready to run. Raises FaultError for what is not allowed in it."""
    binder = _Binder(text)
    bound = binder.visit(tree)
    compiled: list[Any] = []

    def run(values: Mapping[int, Any], asked: Asked) -> Any:
        if not compiled:
            body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), bound, lineno=1)]
            compiled.append(sandbox().from_string(nodes.Template(body, lineno=1)))
        given = {f"r{number}": value for number, value in values.items()}
        context = compiled[0].new_context({**given, "_asked": asked})
        for _ in compiled[0].root_render_func(context):
            pass
        result = context.vars["result"]
        if isinstance(result, Undefined):
            result._fail_with_undefined_error()
        return result

    inner = bound
    if isinstance(inner, nodes.Filter) and inner.name == "bool" and not inner.args and not inner.kwargs and inner.node:
        inner = inner.node
    return Run(tuple(binder.references), isinstance(inner, nodes.Name), run)
