"""Derivatives, integrals, limits, series, sums and products."""

from __future__ import annotations

from typing import Any

from backend.workers.jobs.math_job_bounds import (
    MAX_DERIVATIVE,
    MAX_SERIES,
    MAX_TERMS,
    bounded,
    integer,
    substitute,
)
from backend.workers.jobs.math_job_numbers import flat, total
from backend.workers.port import Refusal


def main_symbol(expression: Any) -> Any:
    """The variable that is meant when none is named: x, then t, y, z, then the first in the alphabet."""
    import sympy as sp

    names = {symbol.name: symbol for symbol in expression.free_symbols}
    for name in ("x", "t", "y", "z"):
        if name in names:
            return names[name]
    return names[min(names)] if names else sp.Symbol("x")


def single(value: Any) -> Any:
    """The value, which must be one expression. Raises Refusal."""
    if isinstance(value, (list, tuple, dict)) or getattr(value, "is_Relational", False):
        raise Refusal("This works on one expression, not on a list or an equation.")
    return value


def symbol_of(value: Any) -> Any:
    """The value, which must be a variable. Raises Refusal."""
    if not getattr(value, "is_Symbol", False):
        raise Refusal("A variable such as x is needed here.")
    return value


def differentiate(expression: Any, *by: Any) -> Any:
    """By one or more variables, each followed by how often, or as (x, n)."""
    import sympy as sp

    expression = single(expression)
    steps: list[tuple[Any, int]] = []
    for item in by:
        if isinstance(item, (list, tuple)) and len(item) == 2:
            steps.append((symbol_of(item[0]), integer(item[1], "The order", 1, MAX_DERIVATIVE)))
        elif getattr(item, "is_Integer", False) and steps:
            steps[-1] = (steps[-1][0], integer(item, "The order", 1, MAX_DERIVATIVE))
        elif getattr(item, "is_Integer", False):
            steps.append((main_symbol(expression), integer(item, "The order", 1, MAX_DERIVATIVE)))
        else:
            steps.append((symbol_of(item), 1))
    for symbol, order in steps or [(main_symbol(expression), 1)]:
        expression = sp.diff(expression, symbol, order)
    return expression


def derivative_at(expression: Any, symbol: Any, order: Any, point: Any) -> Any:
    """A derivative of an unknown function at a point, as initial conditions need it."""
    import sympy as sp

    times = integer(order, "The order", 1, MAX_DERIVATIVE)
    return sp.diff(expression, symbol_of(symbol), times).subs(symbol, point)


def integrate(expression: Any, *over: Any) -> Any:
    """Indefinite without bounds; bounds as (x, a, b) or as three arguments."""
    import sympy as sp

    expression = single(expression)
    if len(over) == 3 and not any(isinstance(item, (list, tuple)) for item in over):
        over = (over,)
    elif len(over) == 2 and getattr(over[1], "is_Symbol", False) is False and not isinstance(over[0], (list, tuple)):
        over = ((main_symbol(expression), *over),)
    result = expression
    for item in over or (main_symbol(expression),):
        result = sp.integrate(result, _range(item) if isinstance(item, (list, tuple)) else symbol_of(item))
    definite = bool(over) and all(isinstance(item, (list, tuple)) for item in over)
    if definite and result.has(sp.nan):
        raise Refusal("This integral does not exist.")
    if len(over) == 1 and definite and isinstance(result, sp.Integral) and not result.free_symbols:
        return _quadrature(expression, *over[0])
    return result


def _quadrature(expression: Any, symbol: Any, low: Any, high: Any) -> Any:
    """A definite integral without a known formula, numerically to about 12 digits."""
    import mpmath
    import sympy as sp

    def at(place: Any) -> Any:
        return mpmath.mpmathify(expression.evalf(20, subs={symbol: sp.Float(place, 20)}))

    return sp.Float(mpmath.quad(at, [mpmath.mpmathify(sp.N(low, 20)), mpmath.mpmathify(sp.N(high, 20))]), 12)


def _range(item: Any) -> Any:
    import sympy as sp

    if len(item) not in (1, 3):
        raise Refusal("Bounds are written (x, 0, 3): the variable, from, to.")
    return sp.Tuple(symbol_of(item[0]), *(single(bound) for bound in item[1:]))


def limit(expression: Any, symbol: Any, point: Any, side: Any = None) -> Any:
    """Two-sided unless `side` is 1 (from above) or -1 (from below)."""
    import sympy as sp

    symbol_of(symbol)
    if side is not None:
        return sp.limit(expression, symbol, point, "+" if integer(side, "The side", -1, 1) > 0 else "-")
    if point.is_infinite:
        return sp.limit(expression, symbol, point)
    above, below = sp.limit(expression, symbol, point, "+"), sp.limit(expression, symbol, point, "-")
    if above != below and sp.simplify(above - below) != 0:
        raise Refusal(f"The limit does not exist: it is {below} from below and {above} from above.")
    return above


def series(expression: Any, symbol: Any = None, point: Any = 0, order: Any = None) -> Any:
    """Taylor or Laurent series around a point (default 0) up to an order (default 6)."""
    import sympy as sp

    terms = 6 if order is None else integer(order, "The order", 1, MAX_SERIES)
    return sp.series(expression, main_symbol(expression) if symbol is None else symbol_of(symbol), point, terms)


def add_up(*given: Any) -> Any:
    """A sum over a range, (i, 1, 10) or i, 1, 10; or of plain numbers."""
    import sympy as sp

    bounds = _bounds(given)
    if bounds is None:
        return total(flat(given))
    return _over(sp.Sum, given[0], *bounds)


def multiply_up(*given: Any) -> Any:
    """A product over a range, or of plain numbers."""
    import sympy as sp

    bounds = _bounds(given)
    if bounds is None:
        result = sp.Integer(1)
        for value in flat(given):
            result = bounded(result * value)
        return result
    return _over(sp.Product, given[0], *bounds)


def _bounds(given: tuple[Any, ...]) -> tuple[Any, Any, Any] | None:
    rest = given[1:]
    if len(rest) == 1 and isinstance(rest[0], tuple) and len(rest[0]) == 3:
        rest = rest[0]
    if len(rest) != 3 or not getattr(rest[0], "is_Symbol", False):
        return None
    return symbol_of(rest[0]), single(rest[1]), single(rest[2])


def _over(kind: Any, term: Any, index: Any, low: Any, high: Any) -> Any:
    """Worked out for at most 10,000 terms or infinitely many; beyond, only where a polynomial formula exists."""
    import sympy as sp

    single(term)
    count = high - low + 1
    if not count.is_number or count.is_infinite:
        return kind(term, (index, low, high)).doit()
    if not count.is_Integer or count < 0:
        raise Refusal("The bounds of a sum must be whole numbers, the lower one first.")
    if count <= MAX_TERMS:
        substitute(term, index, low)
        substitute(term, index, high)
        return kind(term, (index, low, high)).doit()
    if kind is sp.Sum and term.is_polynomial(index):
        end = sp.Symbol("n_end", integer=True, positive=True)
        return substitute(sp.expand(sp.summation(term, (index, low, end))), end, high)
    return kind(term, (index, low, high))
