"""Jinja's sandbox with nothing in it but what is listed here, and its parser with positions.

No globals, no calls, no attributes of Python objects: parts of tables and lists are all that can be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from upgrader.gates import terms

LONGEST = 2000
"""Characters of a condition."""
DEEPEST = 60
"""Levels of an expression: a chain of as many `or` is one."""
LARGEST = 10**12
"""Of numbers that are multiplied."""

_FILTERS = (
    "abs", "count", "d", "default", "first", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
    "rejectattr", "round", "select", "selectattr", "sort", "string", "sum", "trim", "unique", "upper",
)  # fmt: skip
_TESTS = (
    "defined", "divisibleby", "eq", "equalto", "==", "even", "float", "ge", ">=", "gt",
    "greaterthan", ">", "in", "integer", "iterable", "le", "<=", "lessthan", "<", "lt", "lower", "mapping", "ne", "!=",
    "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip
Asked = Callable[[str, str], bool]
"""(`configured` or `defined_in_release`, variable) → whether. Raises ValueError when that is unknown."""


class FaultError(Exception):
    """Something wrong in a condition, and at which character (from 0)."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why, self.at = why, at


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
    if _deeper(tree, DEEPEST):
        raise FaultError(f"nested more than {DEEPEST} levels deep", 0)
    tree.set_environment(environment)
    return tree


def _deeper(tree: nodes.Node, most: int) -> bool:
    level = [tree]
    for _ in range(most):
        level = [part for node in level for part in node.iter_child_nodes()]
    return bool(level)


def _reworded(message: str) -> str:
    if "end of print statement" in message or "end of template" in message:
        return "the expression ends too early"
    return message.rstrip(".")
