"""Text of a condition → leaves that Jinja's sandbox has compiled. The only importer of Jinja.

What an expression may do is listed here, everything else is refused before it is compiled: no calls, no loops, no
powers, no attributes of Python objects. A leaf never sees the site record: what it names is handed to it as plain
JSON values under names of our own, so that neither an expression nor a hostile value can reach anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer

from upgrader.gates import terms
from upgrader.gates.names import Reference, reference

LONGEST = 2000
"""Characters of a condition."""
LARGEST = 10**12
"""Of numbers that are multiplied."""

_FILTERS = (
    "abs", "count", "d", "default", "first", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
    "rejectattr", "round", "select", "selectattr", "sort", "string", "sum", "trim", "unique", "upper",
)  # fmt: skip
_TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "==", "even", "false", "float", "ge", ">=", "gt",
    "greaterthan", ">", "in", "integer", "iterable", "le", "<=", "lessthan", "<", "lt", "lower", "mapping", "ne", "!=",
    "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip
_ALLOWED = (
    nodes.Const, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
    nodes.Neg, nodes.Pos, nodes.Concat, nodes.CondExpr, nodes.Slice, nodes.Keyword,
)  # fmt: skip
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "nothing can be called here; use a test or a filter",
    nodes.Pow: "powers are not allowed",
}

Asked = Callable[[str, str], bool]
"""(`configured` or `defined_in_release`, variable) → whether. Raises ValueError when that is unknown."""


class FaultError(Exception):
    """Something wrong in a condition, and at which character (from 0)."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why, self.at = why, at


@dataclass(frozen=True, slots=True)
class Run:
    """A compiled leaf: what it has to be given, and the function that answers."""

    references: tuple[Reference, ...]
    bare: bool
    """It is a name and nothing else."""
    compiled: Callable[[Mapping[int, Any], Asked], Any]
    """(value by number of the reference; what is not there is undefined) → result. Raises whatever goes wrong."""


# ---------------------------------------------------------------- the sandbox


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, (int, float)) and abs(side) <= LARGEST for side in (left, right)):
            raise ValueError(f"{operator} is for numbers")
        return left * right if operator == "*" else left % right

    def call(self, *_arguments: Any, **_keywords: Any) -> NoReturn:
        raise ValueError("nothing can be called")

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Parts of tables and lists only."""
        try:
            if isinstance(obj, Mapping) or (isinstance(obj, (list, tuple, str)) and isinstance(argument, int)):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(obj=None, name=str(argument))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


@pass_context
def _configured(context: Context, name: Any) -> bool:
    return _looked(context, "configured", name)


@pass_context
def _defined_in_release(context: Context, name: Any) -> bool:
    return _looked(context, "defined_in_release", name)


def _looked(context: Context, what: str, name: Any) -> bool:
    if not isinstance(name, str) or isinstance(name, Undefined):
        raise ValueError(f"{what} asks for the name of a variable")
    asked: Asked = context.parent["_asked"]
    return asked(what, name)


@cache
def sandbox() -> _Sandbox:
    """The one environment; nothing of Jinja's own is in it that is not listed above."""
    made = _Sandbox(undefined=StrictUndefined, autoescape=False, cache_size=0, optimized=False)
    made.globals.clear()
    made.filters = {**{name: FILTERS[name] for name in _FILTERS}, **terms.FILTERS}
    made.tests = {**{name: TESTS[name] for name in _TESTS}, **terms.TESTS}
    made.tests |= {"configured": _configured, "defined_in_release": _defined_in_release}
    return made


# ---------------------------------------------------------------- reading


def parse(text: str) -> nodes.Expr:
    """The expression as Jinja's own syntax tree. Raises FaultError."""
    if len(text) > LONGEST:
        raise FaultError(f"longer than {LONGEST} characters", LONGEST)
    if not text.strip():
        raise FaultError("empty", 0)
    environment, starts = sandbox(), [0]

    def tokens() -> Iterator[tuple[int, str, str]]:
        at = 0
        for token in environment.lexer.tokeniter(text, None, None, "variable"):
            starts[0] = at
            yield token
            at += len(token[2])
            starts[0] = at
        starts[0] = len(text)

    try:
        parser = Parser(environment, "", state="variable")
        parser.stream = TokenStream(environment.lexer.wrap(tokens(), None, None), None, None)
        tree = parser.parse_expression()
        if parser.stream:
            raise FaultError(f"unexpected {parser.stream.current.value!r}", starts[0])
    except TemplateSyntaxError as error:
        raise FaultError(_reworded(str(error.message)), starts[0]) from None
    except RecursionError:
        raise FaultError("too many parentheses", starts[0]) from None
    tree.set_environment(environment)
    return tree


def _reworded(message: str) -> str:
    if "end of print statement" in message or "end of template" in message:
        return "the expression ends too early"
    return message.rstrip(".")


# ---------------------------------------------------------------- leaves


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
        while isinstance(base, (nodes.Getattr, nodes.Getitem)):
            links.insert(0, base)
            base = base.node
        if not isinstance(base, nodes.Name):
            start, taken = self.visit(base), 0
        else:
            keys: list[str] = []
            for link in links:
                key = link.attr if isinstance(link, nodes.Getattr) else getattr(link.arg, "value", None)
                if not isinstance(key, str):
                    break
                keys.append(key)
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

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self._named(node, "filter", sandbox().filters)
        if node.node is None:
            self.refuse("a filter needs a value", node.name)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self._named(node, "test", sandbox().tests)
        if node.name in ("configured", "defined_in_release") and isinstance(node.node, nodes.Const):
            name = node.node.value
            if not isinstance(name, str):
                self.refuse(f"{node.name} asks for the name of a variable", node.name)
            return self.bound(Reference("configured" if node.name == "configured" else "defined_in_release", (name,)))
        return self.generic_visit(node)

    def _named(self, node: nodes.Filter | nodes.Test, kind: str, there: Mapping[str, Any]) -> None:
        if node.name not in there:
            self.refuse(f"there is no {kind} {node.name}", node.name)
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self.refuse("* and ** are not allowed here", "*")
        given = [argument.value if isinstance(argument, nodes.Const) else None for argument in node.args]
        if node.name in terms.PATTERNS:
            self._pattern(node.name, given[:1] or [None])
        inner = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1, "map": 0}.get(node.name)
        if inner is None or kind == "test" or len(node.args) <= inner:
            return
        known = sandbox().filters if node.name == "map" else sandbox().tests
        if given[inner] not in known:
            self.refuse(f"{node.name} needs a known {'filter' if node.name == 'map' else 'test'} in quotes", node.name)
        if given[inner] in terms.PATTERNS:
            self._pattern(node.name, given[inner + 1 : inner + 2] or [None])

    def _pattern(self, near: str, given: list[Any]) -> None:
        fault = terms.pattern_fault(given[0])
        if fault:
            self.refuse(fault, near)


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
        return context.vars["result"]

    return Run(tuple(binder.references), isinstance(bound, nodes.Name), run)
