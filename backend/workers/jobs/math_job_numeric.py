"""Values, roots and integrals by iteration, for what has no formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

STARTS = (0.5, 1.0, -1.0, 2.0, -2.0, 5.0, -5.0, 0.1, 10.0, -10.0, 50.0)
SAME_ROOT = 1e-6
CLOSE = 1e-2
FLAT = 1e-8
GRID = 200
"""Steps over [-10, 10] in which changes of sign are looked for."""
MAX_ROOTS = 12
SYSTEM_STARTS = (0.5, 1.5, -1.0, 3.0)
MAX_SYSTEM_STARTS = 64
Numeric = Callable[..., Any]


def numeric(expression: Any, symbols: Sequence[Any]) -> Numeric:
    """A function of mpmath numbers, one argument for each symbol, that is `expression` at that place."""
    made = _compiled(expression, list(symbols))
    if made is not None:
        return lambda *place: made(place)

    def slow(*place: Any) -> Any:
        import mpmath
        import sympy as sp

        at = {symbol: sp.sympify(each) for symbol, each in zip(symbols, place, strict=True)}
        return mpmath.mpmathify(expression.evalf(20, subs=at))

    return slow


def _compiled(node: Any, symbols: list[Any]) -> Callable[[Any], Any] | None:
    """The tree as nested closures; None when it holds something without a counterpart."""
    import mpmath
    import sympy as sp

    if node in symbols:
        at = symbols.index(node)
        return lambda place: place[at]
    if not node.free_symbols & set(symbols):
        constant = sp.N(node, 30)
        if not constant.is_number or constant.has(sp.nan, sp.zoo, sp.oo):
            return None
        fixed = mpmath.mpmathify(constant)
        return lambda place: fixed
    parts = [_compiled(part, symbols) for part in node.args]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    if node.is_Add:
        return lambda place: sum(part(place) for part in known)
    if node.is_Mul:
        return lambda place: reduce(lambda a, b: a * b, (part(place) for part in known))
    if node.is_Pow:
        base, exponent = known
        return lambda place: mpmath.power(base(place), exponent(place))
    call = getattr(mpmath, _NAMES.get(type(node).__name__, ""), None)
    if call is None:
        return None
    return lambda place: call(*(part(place) for part in known))


_SAME_NAMES = """
    sin cos tan cot sec csc asin acos atan acot sinh cosh tanh coth asinh acosh atanh exp log erf erfc gamma factorial
    sign floor atan2 zeta re im
"""
_NAMES = {
    **{name: name for name in _SAME_NAMES.split()},
    "Abs": "fabs",
    "ceiling": "ceil",
    "LambertW": "lambertw",
}
"""SymPy's functions and the same ones of mpmath."""


def real_roots(expression: Any, symbol: Any, start: float | None = None) -> list[Any]:
    """Real roots as mpmath numbers, from small to large: those near `start`, or near the origin."""
    import mpmath

    at = numeric(expression, [symbol])
    found: list[Any] = []

    def add(guess: Any, solver: str) -> None:
        try:
            root = mpmath.findroot(at, guess, solver=solver)
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            return
        if abs(mpmath.im(root)) > 1e-9:
            return
        root = _tidy(at, mpmath.re(root))
        if not any(_is_same(at, root, other) for other in found):
            found.append(root)

    if start is not None:
        add(start, "secant")
        return found
    for low, high in _changes(at):
        add((low, high), "anderson")
    for first in STARTS:
        add(first, "secant")
    return sorted(sorted(found, key=abs)[:MAX_ROOTS])


def _tidy(at: Numeric, root: Any) -> Any:
    """A short decimal instead of the root where that is a root itself: iteration comes only near a multiple root."""
    import mpmath

    for digits in (2, 6):
        short = mpmath.mpf(round(float(root), digits))
        try:
            if at(short) == 0 and _is_same(at, root, short):
                return short
        except (ValueError, ZeroDivisionError, TypeError):
            continue
    return root


def _is_same(at: Numeric, root: Any, other: Any) -> bool:
    """Whether two results of iteration are one root: next to each other, or close with only zeros between them."""
    distance = abs(root - other)
    if distance <= SAME_ROOT * max(1, abs(root)):
        return True
    return bool(distance < CLOSE and abs(at((root + other) / 2)) < FLAT)


def _changes(at: Numeric) -> list[tuple[float, float]]:
    import mpmath

    places = [-10 + 20 * (step + 0.137) / GRID for step in range(GRID)]
    values: list[Any] = []
    for place in places:
        try:
            value = at(mpmath.mpf(place))
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            value = None
        values.append(value if value is not None and abs(mpmath.im(value)) < 1e-12 else None)
    pairs = zip(itertools.pairwise(places), itertools.pairwise(values), strict=True)
    return [ends for ends, (a, b) in pairs if a is not None and b is not None and mpmath.re(a) * mpmath.re(b) < 0]


def system_root(expressions: Sequence[Any], symbols: Sequence[Any]) -> list[Any] | None:
    """One real solution of as many equations as unknowns; None when iteration does not find any."""
    import mpmath

    functions = [numeric(expression, symbols) for expression in expressions]
    starts = itertools.islice(itertools.product(SYSTEM_STARTS, repeat=len(symbols)), MAX_SYSTEM_STARTS)
    for start in starts:
        try:
            found = mpmath.findroot(lambda *place: [each(*place) for each in functions], start)
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            continue
        if all(abs(mpmath.im(value)) < 1e-9 for value in found):
            return [mpmath.re(value) for value in found]
    return None


def quadrature(expression: Any, symbol: Any, low: Any, high: Any) -> Any:
    """A definite integral to about 12 digits, as a SymPy Float; None when it does not settle."""
    import mpmath
    import sympy as sp

    ends = [mpmath.mpmathify(sp.N(end, 20)) for end in (low, high)]
    if all(mpmath.isfinite(end) for end in ends):
        places = [ends[0] + (ends[1] - ends[0]) * part / 4 for part in range(5)]
    else:
        places = [end for end in (ends[0], mpmath.mpf(0), mpmath.mpf(1), ends[1]) if ends[0] <= end <= ends[1]]
        places = sorted(set(places))
    value, error = mpmath.quad(numeric(expression, [symbol]), places, error=True)
    if not mpmath.isfinite(value) or error > 1e-6 * max(1, abs(value)):
        return None
    digits = 12 if error < 1e-12 else max(4, int(-math.log10(float(error))) - 1)
    if abs(mpmath.im(value)) > 1e-12:
        return None
    return sp.Float(mpmath.re(value), min(digits, 12))
