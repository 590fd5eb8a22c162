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
from backend.workers.jobs.math_job_numeric import quadrature
from backend.workers.jobs.math_job_patience import INTEGRATE, NUMERIC, SOLVE, TooLong, within
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
    back = {}
    if expression.has(sp.Abs, sp.sign):
        # Of a complex variable |x| has no derivative; of a real one it has.
        real = {symbol: sp.Symbol(symbol.name, real=True) for symbol in expression.free_symbols}
        expression, back = expression.subs(real), {made: symbol for symbol, made in real.items()}
        steps = [(real.get(symbol, symbol), order) for symbol, order in steps]
    for symbol, order in steps or [(main_symbol(expression), 1)]:
        expression = sp.diff(expression, symbol, order)
    return expression.subs(back)


def gradient(expression: Any, *by: Any) -> Any:
    """All partial derivatives as a column, in the order given or in that of the alphabet."""
    return jacobian([single(expression)], *by).T


def hessian(expression: Any, *by: Any) -> Any:
    """The matrix of second partial derivatives."""
    import sympy as sp

    return sp.hessian(single(expression), _variables([expression], by))


def jacobian(rows: Any, *by: Any) -> Any:
    """The matrix of partial derivatives: a row for each expression, a column for each variable."""
    import sympy as sp

    parts = list(rows) if isinstance(rows, (list, tuple)) or getattr(rows, "is_Matrix", False) else [rows]
    return sp.Matrix([single(part) for part in parts]).jacobian(_variables(parts, by))


def _variables(expressions: list[Any], given: tuple[Any, ...]) -> list[Any]:
    flattened: list[Any] = []
    for item in given:
        flattened += list(item) if isinstance(item, (list, tuple)) else [item]
    if flattened:
        return [symbol_of(item) for item in flattened]
    free = set().union(*(expression.free_symbols for expression in expressions))
    return sorted(free, key=lambda symbol: symbol.name) or [_x()]


def _x() -> Any:
    import sympy as sp

    return sp.Symbol("x")


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
    definite = bool(over) and all(isinstance(item, (list, tuple)) for item in over)
    steps = [_range(item) if isinstance(item, (list, tuple)) else symbol_of(item) for item in over]
    numeric = definite and len(over) == 1 and len(over[0]) == 3 and _is_closed(expression, over[0])
    try:
        result = within(INTEGRATE, _integrated, expression, steps or [main_symbol(expression)])
    except TooLong:
        if not numeric:
            raise Refusal(
                "No formula for this integral was found in time; with numbers as bounds it can be computed."
            ) from None
        result = sp.Integral(expression, *steps)
    if definite and result.has(sp.nan):
        raise Refusal("This integral does not exist.")
    if numeric and result.has(sp.Integral):
        return _quadrature(expression, result, *over[0])
    return result


def _integrated(expression: Any, steps: list[Any]) -> Any:
    import sympy as sp

    for step in steps:
        expression = sp.integrate(expression, step)
    return expression


def _is_closed(expression: Any, bounds: Any) -> bool:
    """Whether nothing but the variable of integration is unknown."""
    return bool(expression.free_symbols <= {bounds[0]}) and not any(end.free_symbols for end in bounds[1:])


def _quadrature(expression: Any, unsolved: Any, symbol: Any, low: Any, high: Any) -> Any:
    """A definite integral without a known formula, numerically; as it was where that does not settle."""
    try:
        value = within(NUMERIC, quadrature, expression, symbol, low, high)
    except (TooLong, ValueError, ZeroDivisionError, TypeError, OverflowError):
        value = None
    return unsolved if value is None else value


def _range(item: Any) -> Any:
    import sympy as sp

    if len(item) not in (1, 3):
        raise Refusal("Bounds are written (x, 0, 3): the variable, from, to.")
    return sp.Tuple(symbol_of(item[0]), *(single(bound) for bound in item[1:]))


def limit(expression: Any, symbol: Any, point: Any = None, side: Any = None) -> Any:
    """Two-sided unless `side` is 1 (from above) or -1 (from below); `limit(sin(x)/x, 0)` names no variable."""
    import sympy as sp

    if point is None:
        symbol, point = main_symbol(expression), symbol
    symbol_of(symbol)
    if side is not None:
        return sp.limit(expression, symbol, point, "+" if integer(side, "The side", -1, 1) > 0 else "-")
    if point.is_infinite:
        found = sp.limit(expression, symbol, point)
        if found.has(sp.AccumBounds):
            raise Refusal("The limit does not exist: the values go up and down for ever.")
        return found
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

    return total(flat(given)) if not _has_bounds(given) else _over_all(sp.Sum, given)


def multiply_up(*given: Any) -> Any:
    """A product over a range, or of plain numbers."""
    import sympy as sp

    if not _has_bounds(given):
        result = sp.Integer(1)
        for value in flat(given):
            result = bounded(result * value)
        return result
    return _over_all(sp.Product, given)


def _has_bounds(given: tuple[Any, ...]) -> bool:
    return any(isinstance(item, tuple) for item in given[1:]) or (
        len(given) == 4 and getattr(given[1], "is_Symbol", False)
    )


def _over_all(kind: Any, given: tuple[Any, ...]) -> Any:
    """Over one range or several, the first innermost."""
    term, *ranges = given
    if not isinstance(ranges[0], tuple):
        ranges = [tuple(ranges)]
    for item in ranges:
        if not isinstance(item, tuple) or len(item) != 3:
            raise Refusal("A range is written (k, 1, 10): the variable, from, to.")
        term = _over(kind, term, symbol_of(item[0]), single(item[1]), single(item[2]))
    return term


def _over(kind: Any, term: Any, index: Any, low: Any, high: Any) -> Any:
    """Worked out for at most 10,000 terms or infinitely many; beyond, only where a polynomial formula exists."""
    import sympy as sp

    single(term)
    count = high - low + 1
    if not count.is_number or count.is_infinite:
        return _closed_form(kind, term, index, low, high)
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


def _closed_form(kind: Any, term: Any, index: Any, low: Any, high: Any) -> Any:
    """A formula for a sum or product without fixed bounds; as it was where none is found in time."""
    import sympy as sp

    written = kind(term, (index, low, high))
    try:
        found = within(SOLVE, written.doit)
        if kind is sp.Product and found.has(sp.Product) and high.is_infinite:
            end = sp.Symbol("n_end", integer=True, positive=True)
            partial = within(SOLVE, lambda: sp.Product(sp.factor(term), (index, low, end)).doit())
            if not partial.has(sp.Product):
                found = within(SOLVE, lambda: sp.limit(sp.gammasimp(partial), end, sp.oo))
    except TooLong:
        return written
    return found
