"""From text to SymPy objects: `ast.parse`, then every node checked against what is allowed."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from backend.utils.math_notation import CONSTANTS, LOWER_FUNCTIONS, UNKNOWN_FUNCTIONS
from backend.workers.jobs.math_job_bounds import (
    MAX_DEPTH,
    MAX_LITERAL_BITS,
    MAX_NODES,
    bounded,
    power,
)
from backend.workers.jobs.math_job_functions import Function, functions
from backend.workers.jobs.math_job_units import TEMPERATURES, convert, convert_temperature, unit_named
from backend.workers.port import Refusal

_SYMBOL = re.compile(r"[A-Za-z\u0370-\u03ff][A-Za-z0-9\u0370-\u03ff]{0,19}(?:_[A-Za-z0-9]{1,10})?")
_FORBIDDEN = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
_GREEK_NAMES = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi
    psi omega
"""
_GREEK = frozenset(_GREEK_NAMES.split())
_ADDITIVE = (ast.Add, ast.Sub)
_MULTIPLICATIVE = (ast.Mult, ast.Div)


def parse(source: str) -> ast.expr:
    """The one expression that the source holds, within the bounds of size and depth. Raises Refusal."""
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise Refusal("This is not a complete expression; write it like 2+3*4 or solve(x^2-4, x).") from None
    nodes = sum(isinstance(node, (ast.expr, ast.comprehension, ast.keyword)) for node in ast.walk(tree))
    if nodes > MAX_NODES:
        raise Refusal(f"The expression has {nodes} parts; at most {MAX_NODES} are allowed. Split it.")
    if _depth(tree) > MAX_DEPTH:
        raise Refusal(f"The expression is nested more than {MAX_DEPTH} deep; split it.")
    return tree


def _depth(tree: ast.expr) -> int:
    """Levels of nesting; a chain of one kind (`1+2+3+…`) is one level, however long."""
    deepest = 0
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        children = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        stack += [(child, depth if _continues(node, child) else depth + 1) for child in children]
    return deepest


def _continues(node: ast.AST, child: ast.AST) -> bool:
    if not (isinstance(node, ast.BinOp) and isinstance(child, ast.BinOp) and node.left is child):
        return False
    return any(isinstance(node.op, kind) and isinstance(child.op, kind) for kind in (_ADDITIVE, _MULTIPLICATIVE))


class Walker:
    """Turns checked nodes into SymPy objects; lists become Python lists, tuples Python tuples."""

    def __init__(self, source: str, tree: ast.expr) -> None:
        import sympy as sp

        self._sp = sp
        self._source = source.encode()
        self._functions: Mapping[str, Function] = functions()
        self._constants = {
            "pi": sp.pi,
            "e": sp.E,
            "E": sp.E,
            "I": sp.I,
            "oo": sp.oo,
            "inf": sp.oo,
            "infinity": sp.oo,
            "tau": 2 * sp.pi,
            "phi": sp.GoldenRatio,
        }
        if not _is_index("i", tree):
            self._constants["i"] = sp.I
        self._units = False
        self._comparisons: dict[type[ast.cmpop], Callable[..., Any]] = {
            ast.Eq: sp.Eq,
            ast.NotEq: sp.Ne,
            ast.Lt: sp.Lt,
            ast.LtE: sp.Le,
            ast.Gt: sp.Gt,
            ast.GtE: sp.Ge,
        }

    def value(self, node: ast.expr) -> Any:
        """Raises Refusal for every kind of node that is not listed here."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node.id)
            case ast.UnaryOp(op=ast.USub()):
                return -self._scalar(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._scalar(node.operand)
            case ast.BinOp():
                return bounded(self._binary(node))
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self._call(node)
            case ast.Tuple():
                return tuple(self.value(item) for item in node.elts)
            case ast.List():
                return [self.value(item) for item in node.elts]
            case _:
                raise Refusal("Only numbers, names, signs, comparisons, brackets and known functions are allowed.")

    def _constant(self, node: ast.Constant) -> Any:
        given = node.value
        if isinstance(given, int) and not isinstance(given, bool):
            if given.bit_length() > MAX_LITERAL_BITS:
                raise Refusal("A number in this is longer than 1,200 digits; use a smaller one.")
            return self._sp.Integer(given)
        if isinstance(given, float):
            # The text itself, not the float: 0.1 is one tenth.
            written = Decimal(self._source[node.col_offset : node.end_col_offset].decode())
            if not -1000 < written.adjusted() < 1000:
                raise Refusal("A number in this is too large or too small; exponents go to 1000.")
            return self._sp.Rational(*written.as_integer_ratio())
        raise Refusal("Only whole numbers and decimals are allowed; text in quotes and the like is not.")

    def _name(self, name: str) -> Any:
        if self._units and (unit := unit_named(name)) is not None:
            return unit
        if name in self._constants:
            return self._constants[name]
        if name in self._functions and len(name) > 1:
            raise Refusal(f"{name} is a function: write {name}(…) with its argument.")
        if name in _FORBIDDEN or not _SYMBOL.fullmatch(name):
            raise Refusal(f"The name {name[:40]!r} is not allowed in an expression.")
        return self._sp.Symbol(name)

    def _scalar(self, node: ast.expr) -> Any:
        value = self.value(node)
        if isinstance(value, (list, tuple, dict)) or getattr(value, "is_Boolean", False) or _is_relation(value):
            raise Refusal("A list, an equation or several values stand where a single value is needed.")
        return value

    def _operand(self, node: ast.expr, *, brackets: bool = True) -> Any:
        """A scalar or a matrix; a list of rows is taken for a matrix, with `brackets` `[x+1]` for `(x+1)`."""
        if not isinstance(node, ast.List):
            return self._scalar(node)
        given = self.value(node)
        if brackets and len(given) == 1 and isinstance(given[0], self._sp.Expr):
            return given[0]
        return self._functions["Matrix"].call(given)

    def _check_shapes(self, sign: ast.operator, left: Any, right: Any) -> None:
        """Raises Refusal where matrices do not fit together."""
        matrices = [each for each in (left, right) if getattr(each, "is_Matrix", False)]
        if not matrices:
            return
        if isinstance(sign, _ADDITIVE) and (len(matrices) == 1 or left.shape != right.shape):
            raise Refusal("Only matrices with equally many rows and columns can be added.")
        if isinstance(sign, ast.Mult) and len(matrices) == 2 and left.cols == right.cols == 1:
            raise Refusal("Two columns are multiplied by dot(…) or cross(…).")
        if isinstance(sign, ast.Mult) and len(matrices) == 2 and left.cols != right.rows:
            raise Refusal(f"A matrix with {left.cols} columns cannot be multiplied by one with {right.rows} rows.")
        if isinstance(sign, (ast.Mod, ast.FloorDiv)) or (isinstance(sign, ast.Div) and right in matrices):
            raise Refusal("A matrix cannot be a divisor; multiply by its inverse, inv(…).")

    def _binary(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Pow):
            whole = self._scalar(node.left.left), self._scalar(node.left.right), self._scalar(node.right)
            if all(getattr(part, "is_Integer", False) for part in whole):
                return self._functions["powmod"].call(*whole)
        if isinstance(node.op, _ADDITIVE) and _is_percentage(node.right) and not _is_percentage(node.left):
            whole_value, part = self._scalar(node.left), self._scalar(node.right)
            return whole_value * (1 + part if isinstance(node.op, ast.Add) else 1 - part)
        lists = isinstance(node.left, ast.List) and isinstance(node.right, ast.List)
        left, right = (self._operand(each, brackets=not lists) for each in (node.left, node.right))
        self._check_shapes(node.op, left, right)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                if right == 0:
                    raise Refusal("This divides by zero.")
                return left / right
            case ast.FloorDiv():
                return self._functions["floor"].call(left / right)
            case ast.Mod():
                return self._functions["mod"].call(left, right)
            case ast.Pow():
                return power(left, right)
            case _:
                raise Refusal("Only the signs + - * / // % and ^ are allowed between values.")

    def _compare(self, node: ast.Compare) -> Any:
        values = [self._operand(each) for each in (node.left, *node.comparators)]
        if any(getattr(value, "is_Matrix", False) for value in values):
            return self._compare_matrices(node, values)
        relations = []
        for sign, left, right in zip(node.ops, values, values[1:], strict=False):
            make = self._comparisons.get(type(sign))
            if make is None:
                raise Refusal("Only =, !=, <, <=, > and >= are allowed between sides.")
            relations.append(make(left, right))
        return relations[0] if len(relations) == 1 else relations

    def _compare_matrices(self, node: ast.Compare, values: list[Any]) -> Any:
        """One equation for each place, or the answer where nothing is unknown."""
        left, right, *more = values
        if more or not isinstance(node.ops[0], ast.Eq) or getattr(left, "shape", 0) != getattr(right, "shape", 1):
            raise Refusal("Matrices can be compared by = only, and must have equally many rows and columns.")
        relations = [self._sp.Eq(a, b) for a, b in zip(left, right, strict=True)]
        if left.free_symbols | right.free_symbols:
            return relations
        return self._sp.true if all(relation == self._sp.true for relation in relations) else self._sp.false

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            raise Refusal("Only known functions can be called, by their plain name.")
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise Refusal("Arguments are given in order, without names and stars.")
        name = node.func.id
        if name == "convert_to":
            return self._convert(node.args)
        function = self._functions.get(name) or (self._functions.get(name.lower()) if len(name) > 1 else None)
        if function is None:
            return self._unknown(name, node.args)
        if not function.least <= len(node.args) <= function.most:
            raise Refusal(f"{name} takes {function.takes}; {len(node.args)} were given.")
        arguments = [self.value(argument) for argument in node.args]
        if not function.structures:
            for argument in arguments:
                if isinstance(argument, (list, tuple, dict)):
                    raise Refusal(f"{name} works on single values, not on a list.")
        return bounded(function.call(*arguments))

    def _unknown(self, name: str, arguments: list[ast.expr]) -> Any:
        if name not in UNKNOWN_FUNCTIONS:
            raise Refusal(f"There is no function {name[:40]!r}; try solve, diff, integrate, limit, Matrix, N, sqrt …")
        if len(arguments) != 1:
            raise Refusal(f"{name} is taken for an unknown function of one variable, as in {name}(x).")
        return self._sp.Function(name)(self._scalar(arguments[0]))

    def _convert(self, arguments: list[ast.expr]) -> Any:
        if len(arguments) != 2:
            raise Refusal("convert_to takes a quantity and a unit, as in convert_to(5*mile, kilometer).")
        if (temperature := self._temperature(arguments)) is not None:
            return temperature
        self._units = True
        quantity, target = self._scalar(arguments[0]), self._scalar(arguments[1])
        self._units = False
        start, end = arguments[1].col_offset, arguments[1].end_col_offset
        return convert(quantity, target, self._source[start:end].decode())

    def _temperature(self, arguments: list[ast.expr]) -> Any | None:
        """`convert_to(20*celsius, fahrenheit)`; None when it is about something else."""
        quantity, target = arguments
        if not (isinstance(quantity, ast.BinOp) and isinstance(quantity.op, ast.Mult)):
            return None
        start = quantity.right
        if not (isinstance(start, ast.Name) and isinstance(target, ast.Name)):
            return None
        if start.id not in TEMPERATURES or target.id not in TEMPERATURES:
            return None
        amount = self._scalar(quantity.left)
        if not getattr(amount, "is_number", False):
            raise Refusal("A temperature is a number of degrees, as in convert_to(20*celsius, fahrenheit).")
        return convert_temperature(amount, start.id, target.id)


def _is_percentage(node: ast.expr) -> bool:
    """`5%`, `5% + 3%`: a share, and not a number that a share is added to."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ADDITIVE):
        return _is_percentage(node.left) and _is_percentage(node.right)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "percent"


def check_words(tree: ast.expr) -> None:
    """Raises Refusal for text that is no more than words: `hello`, `30*digits*to`."""
    factors = _factors(tree)
    words = [factor.id for factor in factors if isinstance(factor, ast.Name) and _is_word(factor.id)]
    if words and (len(words) == len(factors) or len(words) > 1):
        shown = ", ".join(f"“{word[:40]}”" for word in words[:3])
        raise Refusal(f"{shown}: plain words are not mathematics; give an expression such as 2+3*4 or x^2-4=0.")


def _factors(tree: ast.expr) -> list[ast.expr]:
    """The factors of a product, in no order; of anything else, itself."""
    found: list[ast.expr] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, _MULTIPLICATIVE):
            stack += [node.left, node.right]
        else:
            found.append(node)
    return found


def _is_word(name: str) -> bool:
    """Several letters that name nothing; x, x1, v_max and Greek letters are variables."""
    stem = name.partition("_")[0].rstrip("0123456789")
    return (
        len(stem) > 1 and stem.lower() not in _GREEK and stem not in CONSTANTS and name.lower() not in LOWER_FUNCTIONS
    )


def has_variables(tree: ast.expr) -> bool:
    """Whether a name stands for something unknown."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    return not names <= CONSTANTS | {"i"}


def _is_index(name: str, tree: ast.expr) -> bool:
    """Whether the name alone is an argument, as the i of (i, 1, 10)."""
    places: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            places += node.args[1:]
        elif isinstance(node, (ast.Tuple, ast.List)):
            places += node.elts[:1]
    return any(isinstance(place, ast.Name) and place.id == name for place in places)


def _is_relation(value: Any) -> bool:
    return bool(getattr(value, "is_Relational", False))
