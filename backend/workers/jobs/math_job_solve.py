"""Equations, systems, inequalities and differential equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.workers.jobs.math_job_calculus import main_symbol, single
from backend.workers.jobs.math_job_matrix import solve_linear
from backend.workers.jobs.math_job_numeric import real_roots, system_root
from backend.workers.jobs.math_job_patience import SIMPLIFY, SOLVE, TooLong, within
from backend.workers.port import Refusal

SAME_ROOT = 1e-9


@dataclass(frozen=True, slots=True)
class Solutions:
    """What solves an equation or a system: for each solution, (symbol, value) pairs. `exact` is False for floats."""

    found: tuple[tuple[tuple[Any, Any], ...], ...]
    exact: bool = True
    period: Any = None
    """After so much the solutions repeat, for ever."""
    open_end: bool = False
    """Found one by one: there may be others."""


@dataclass(frozen=True, slots=True)
class Region:
    """The values of one variable that satisfy inequalities: a SymPy set of reals."""

    symbol: Any
    values: Any
    period: Any = None


@dataclass(frozen=True, slots=True)
class Always:
    """An equation that holds for every value."""


def is_relation(value: Any) -> bool:
    """Whether the value is an equation or inequality, also one already decided."""
    return bool(getattr(value, "is_Relational", False) or getattr(value, "is_Boolean", False))


def solve(*given: Any) -> Any:
    """Equations (or expressions taken to be 0) and, at the end, the variables to solve for."""
    if len(given) == 2 and (_is_table(given[0]) or getattr(given[0], "is_Matrix", False)):
        return solve_linear(*given)
    items: list[Any] = []
    for value in given:
        items += list(value) if isinstance(value, (list, tuple)) else [value]
    if not items or any(isinstance(item, (list, tuple, dict)) for item in items):
        raise Refusal("Give equations and variables, as in solve([x+y=3, x-y=1], [x, y]).")
    first = items[0]
    symbols = [item for item in items[1:] if getattr(item, "is_Symbol", False)]
    conditions = [first, *(item for item in items[1:] if not getattr(item, "is_Symbol", False))]
    return solve_conditions(conditions, symbols)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)


def solve_conditions(conditions: list[Any], symbols: list[Any]) -> Any:
    """Solutions, Region or Always. Raises Refusal when there is none or no method is known."""
    import sympy as sp

    if any(condition == sp.false for condition in conditions):
        raise Refusal("There is no solution: the two sides are never equal.")
    open_conditions = [condition for condition in conditions if condition != sp.true]
    if not open_conditions:
        return Always()
    if any(getattr(condition, "is_Matrix", False) for condition in open_conditions):
        raise Refusal("Equations between matrices cannot be solved here.")
    if any(
        isinstance(c, (sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan, sp.Ne)) for c in conditions
    ):
        return _inequalities(open_conditions, symbols)
    equations = [c.lhs - c.rhs if isinstance(c, sp.Eq) else single(c) for c in open_conditions]
    free = set().union(*(equation.free_symbols for equation in equations))
    if not free:
        raise Refusal("There is no variable to solve for.")
    if not symbols:
        symbols = _unknowns(equations, free)
    if len(equations) == 1 and len(symbols) == 1:
        return _one(equations[0], symbols[0])
    try:
        found = within(SOLVE, lambda: sp.solve(equations, symbols, dict=True))
    except (NotImplementedError, TooLong):
        return _system_numerically(equations, symbols)
    if not found:
        raise Refusal("There is no solution.")
    return Solutions(tuple(tuple((s, _tidy(each[s])) for s in symbols if s in each) for each in found))


def _tidy(value: Any) -> Any:
    """A number multiplied out where that makes it shorter."""
    import sympy as sp

    if not value.is_number or value.has(sp.CRootOf):
        return value
    expanded = sp.expand(value)
    return expanded if expanded.count_ops() <= value.count_ops() else value


def _system_numerically(equations: list[Any], symbols: list[Any]) -> Solutions:
    import sympy as sp

    if len(equations) != len(symbols) or set().union(*(e.free_symbols for e in equations)) != set(symbols):
        raise Refusal("No method is known for this system; give as many equations as unknowns, without other letters.")
    found = system_root(equations, symbols)
    if found is None:
        raise Refusal("No solution was found: no formula is known, and trying numerically did not converge.")
    pairs = tuple((symbol, sp.Float(value, 15)) for symbol, value in zip(symbols, found, strict=True))
    return Solutions((pairs,), exact=False, open_end=True)


def _unknowns(equations: list[Any], free: set[Any]) -> list[Any]:
    if len(equations) == 1:
        return [main_symbol(equations[0])]
    return sorted(free, key=lambda symbol: symbol.name)[:12]


def _one(equation: Any, symbol: Any) -> Solutions | Always:
    import sympy as sp

    asked = equation
    if equation.has(sp.Abs):
        asked = equation.subs(symbol, sp.Symbol(symbol.name, real=True))
    try:
        found = within(SOLVE, sp.solve, asked, *(asked.free_symbols - (equation.free_symbols - {symbol})))
    except (NotImplementedError, TooLong):
        return solve_numerically(equation, symbol)
    if not found:
        if sp.simplify(equation) == 0:
            return Always()
        raise Refusal("There is no solution.")
    found = [value for value in found if not isinstance(value, dict)]
    if any(value.has(sp.CRootOf) for value in found):
        if not equation.is_polynomial(symbol) or equation.free_symbols != {symbol}:
            return Solutions(tuple(((symbol, value),) for value in found))
        found = sorted(set(sp.Poly(equation, symbol).nroots(n=15, maxsteps=200)), key=place)
        return Solutions(tuple(((symbol, value),) for value in found), exact=False)
    found = sorted(found, key=place)
    return Solutions(tuple(((symbol, value),) for value in found), period=_period(equation, symbol))


def _period(expression: Any, symbol: Any) -> Any:
    """After what distance a trigonometric expression repeats; None where it does not, or where that is not found."""
    import sympy as sp

    if not expression.has(sp.functions.elementary.trigonometric.TrigonometricFunction):
        return None
    real = sp.Symbol(symbol.name, real=True)
    try:
        return within(SIMPLIFY, lambda: sp.periodicity(expression.subs(symbol, real), real))
    except (TooLong, NotImplementedError, ValueError, TypeError):
        return None


def place(value: Any) -> tuple[int, float, float]:
    """Real solutions first, from small to large; then complex ones; then formulas."""
    import sympy as sp

    if not value.is_number:
        return (2, 0.0, 0.0)
    number = complex(sp.N(value, 15, chop=True))
    return (int(abs(number.imag) > SAME_ROOT), number.real, number.imag)


def solve_numerically(equation: Any, symbol: Any = None, start: Any = None) -> Solutions:
    """Real roots found by iteration from a few starting points; there may be others."""
    import sympy as sp

    if isinstance(equation, sp.Eq):
        equation = equation.lhs - equation.rhs
    symbol = main_symbol(equation) if symbol is None else symbol
    if equation.free_symbols != {symbol}:
        raise Refusal("No formula is known for this, and with several variables it cannot be solved numerically.")

    roots = real_roots(equation, symbol, None if start is None else float(start))
    if not roots:
        raise Refusal("No solution was found: no formula is known, and trying numerically did not converge.")
    return Solutions(tuple(((symbol, sp.Float(root, 15)),) for root in roots), exact=False, open_end=len(roots) > 1)


def roots(polynomial: Any, symbol: Any = None) -> Solutions | Always:
    """The roots of a polynomial, each as often as it occurs only once."""
    return _one(single(polynomial), main_symbol(polynomial) if symbol is None else symbol)


def _inequalities(conditions: list[Any], symbols: list[Any]) -> Region:
    import sympy as sp

    free = set().union(*(condition.free_symbols for condition in conditions))
    if len(free) != 1:
        raise Refusal("Inequalities can be solved in one variable only.")
    (symbol,) = free
    real = sp.Symbol(symbol.name, real=True)
    values = sp.S.Reals
    for condition in conditions:
        condition = condition.subs(symbol, real)
        if condition == sp.false:
            values = sp.S.EmptySet
        elif condition != sp.true:
            values = sp.Intersection(values, _where(condition, real))
    periods = {_period(c.lhs - c.rhs, symbol) for c in conditions}
    return Region(symbol, values, periods.pop() if len(periods) == 1 else None)


def _where(condition: Any, symbol: Any) -> Any:
    import sympy as sp

    if isinstance(condition, sp.Eq):
        return sp.solveset(condition, symbol, sp.S.Reals)
    if isinstance(condition, sp.Ne):
        return sp.S.Reals - sp.solveset(sp.Eq(condition.lhs, condition.rhs), symbol, sp.S.Reals)
    return sp.solve_univariate_inequality(condition, symbol, relational=False)


def solve_differential(*given: Any) -> Any:
    """An equation in f(x) and its derivatives, then conditions such as f(0) = 1."""
    import sympy as sp
    from sympy.core.function import AppliedUndef

    items: list[Any] = []
    for value in given:
        items += list(value) if isinstance(value, (list, tuple)) else [value]
    equations = [item for item in items if _has_derivative(item)]
    rest = [item for item in items if not _has_derivative(item)]
    if len(equations) != 1:
        raise Refusal("Give one differential equation, as in dsolve(diff(f(x), x) = f(x)).")
    unknown = {f for f in equations[0].atoms(AppliedUndef) if f.args[0].is_Symbol}
    if len(unknown) != 1:
        raise Refusal("The equation must have one unknown function, such as f(x).")
    (function,) = unknown
    conditions = {}
    for item in rest:
        if item == function or getattr(item, "is_Symbol", False):
            continue
        if not isinstance(item, sp.Eq):
            raise Refusal("Conditions are written f(0) = 1.")
        conditions[item.lhs] = item.rhs
    return sp.dsolve(equations[0], function, ics=conditions or None)


def _has_derivative(item: Any) -> bool:
    """A derivative that is not taken at a point."""
    import sympy as sp

    if not hasattr(item, "atoms"):
        raise Refusal("Give one differential equation and its conditions.")
    return bool(item.atoms(sp.Derivative)) and not item.atoms(sp.Subs)
