"""Mutants of a module: the same source with one thing wrong, in its syntax tree.

What is changed: comparisons (their opposite, and one off at a bound), `and`, `or` and `not`, arithmetic, numbers,
texts and bytes, conditions, what is returned, and statements that raise or call something, which are left out. What is
not: annotations, docstrings, prose (a text with a space in it, which is for people), how values show themselves, and
the sizes of caches.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from attrs import define, field, frozen

Variant = tuple[str, Callable[[ast.AST], ast.AST]]


@frozen
class Mutant:
    """One of them.

    Attributes:
        line: where it differs.
        what: how, for people: `what` is the line's text before and what was made of it.
    """

    line: int
    what: str
    _origin: ast.Module = field(repr=False, eq=False)
    _number: int = field(repr=False, eq=False)
    _change: Callable[[ast.AST], ast.AST] = field(repr=False, eq=False)

    @property
    def tree(self) -> ast.Module:
        """Of the whole module, made anew."""
        changed = copy.deepcopy(self._origin)
        _Sites(self._number, self._change).visit(changed)  # in place: a module is no site itself
        ast.fix_missing_locations(changed)
        return changed

    @property
    def name(self) -> str:
        """A name that stays when lines are added above."""
        return self.what


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's source."""
    tree = ast.parse(source)
    lines = source.splitlines()
    sites = _Sites()
    sites.visit(tree)
    for number, (line, variants) in enumerate(sites.found):
        for description, change in variants:
            yield Mutant(line, f"{lines[line - 1].strip()}  ~ {description}", tree, number, change)


@define(eq=False)
class _Sites(ast.NodeTransformer):
    """Numbers the places that can be changed, in one order; changes one of them, if told which and how."""

    _number: int | None = None
    _change: Callable[[ast.AST], ast.AST] | None = None
    found: list[tuple[int, list[Variant]]] = field(factory=list, init=False)

    def visit(self, node: ast.AST) -> ast.AST:
        """See NodeTransformer."""
        variants = _variants(node)
        if variants:
            here = len(self.found)
            self.found.append((getattr(node, "lineno", 0), variants))
            if here == self._number and self._change is not None:
                return self._change(node)
        self._descend(node)
        return node

    def _descend(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in _NOT_CODE or (isinstance(node, ast.keyword) and node.arg in _NOT_MEANT):
                continue
            if isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
            elif isinstance(value, list):
                setattr(node, name, [self.visit(each) if isinstance(each, ast.AST) else each for each in value])


_NOT_CODE = frozenset({"annotation", "returns", "ctx"})
_NOT_MEANT = frozenset({"repr", "maxsize", "slots"})

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def _variants(node: ast.AST) -> list[Variant]:
    match node:
        case ast.Compare():
            return list(_compared(node))
        case ast.BoolOp():
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            return [(f"{other.__name__}", lambda n: ast.BoolOp(other(), n.values))]  # type: ignore[attr-defined]
        case ast.UnaryOp(op=ast.Not()):
            return [("without not", lambda n: n.operand)]
        case ast.BinOp() if type(node.op) in _OPERATORS:
            swapped = _OPERATORS[type(node.op)]
            return [(swapped.__name__, lambda n: ast.BinOp(n.left, swapped(), n.right))]  # type: ignore[attr-defined]
        case ast.Constant():
            return _constants(node)
        case ast.Return(value=ast.expr()) if not _says_no(node.value):
            return [("return None", lambda n: ast.Return(ast.Constant(None)))]
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await() | ast.Yield()):
            return [("left out", lambda n: ast.Pass(lineno=n.lineno, col_offset=0))]  # type: ignore[attr-defined]
        case ast.Continue():
            return [("break", lambda n: ast.Break())]
        case ast.Break():
            return [("continue", lambda n: ast.Continue())]
        case ast.If() | ast.IfExp() | ast.While() if not _negatable(node.test):
            return [("condition negated", _negated)]
    return []


def _says_no(node: ast.AST | None) -> bool:
    """Whether it is None, or False, for which None is as good."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _negatable(test: ast.expr) -> bool:
    """Whether the test itself has a variant that negates it."""
    return isinstance(test, ast.UnaryOp) or (isinstance(test, ast.Compare) and len(test.ops) == 1)


def _negated(node: ast.AST) -> ast.AST:
    node.test = ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]
    return node


def _compared(node: ast.Compare) -> Iterator[Variant]:
    for at, operator in enumerate(node.ops):
        for other in _COMPARISONS[type(operator)]:

            def change(n: ast.AST, at: int = at, other: type[ast.cmpop] = other) -> ast.AST:
                n.ops[at] = other()  # type: ignore[attr-defined]
                return n

            yield f"{type(operator).__name__} {at} is {other.__name__}", change


def _constants(node: ast.Constant) -> list[Variant]:
    value = node.value
    other: object
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int):
        other = value + 1
    elif isinstance(value, bytes):
        other = value + b"X"
    elif isinstance(value, str) and " " not in value:
        other = value + "X"
    else:
        return []
    return [(f"{value!r} is {other!r}"[:80], lambda n: ast.Constant(other))]
