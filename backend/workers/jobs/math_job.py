"""The job behind the calculator: an expression in, its value as text out."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.utils.math_notation import MAX_LENGTH, NotationError, to_python
from backend.workers.jobs.math_job_bounds import MAX_DIGITS
from backend.workers.jobs.math_job_patience import SIMPLIFY, TooLong, within
from backend.workers.port import Refusal

PRELOAD = (
    "sympy",
    "sympy.physics.units",
    "backend.workers.jobs.math_job_walker",
    "backend.workers.jobs.math_job_format",
    "backend.workers.jobs.math_job_everyday",
)
SIMPLIFY_BELOW_OPERATIONS = 60
_WARM_UP = (
    "sqrt(8)+18% of 2450",
    "x^2-5x+6=0",
    "diff(sin(x)*x, x)",
    "integrate(x^2*exp(x), (x, 0, 1))",
    "integrate(x*sin(x), x)",
    "x^2-4>0",
    "solve([x+y=3, x-y=1], [x, y])",
    "limit(sin(x)/x, x, 0)",
    "Sum(1/n^2, (n, 1, oo))",
    "eigenvals(Matrix([[2,1],[1,2]]))",
    "factor(x^3-1)",
    "convert_to(5*mile, km)",
    "series(exp(x), x, 0, 4)",
    "dsolve(diff(f(x),x)=f(x))",
    "cos(x)=x",
)


def evaluate(expression: str, asked: str = "") -> dict[str, Any]:
    """Work out one expression.

    `asked`: what the expression was made from, where that was something else; a request about units, bases or
    percents is recognised in it first.

    Returns:
        `exact`, `numeric` (or None), `latex`, and `sign`, the word or sign to stand between question and result.

    Raises:
        Refusal: not understood, over a bound, undefined, or without a known method.
    """
    from backend.workers.jobs.math_job_everyday import everyday

    if len(expression) > MAX_LENGTH or len(asked) > MAX_LENGTH:
        raise Refusal(f"The expression is longer than {MAX_LENGTH} characters; shorten it.")
    source = everyday(asked) or everyday(expression)
    if source is not None:
        with _long_integers():
            return _evaluate(source, decimals=True)
    try:
        source = to_python(expression)
    except NotationError as error:
        raise Refusal(str(error)) from None
    with _long_integers():
        return _evaluate(source, decimals="." in source or "%" in expression)


def warm_up() -> Iterator[None]:
    """Step by step, what makes SymPy load and fill its caches."""
    for expression in _WARM_UP:
        evaluate(expression)
        yield


def _evaluate(source: str, *, decimals: bool) -> dict[str, Any]:
    import sympy as sp
    from sympy.polys.polyerrors import BasePolynomialError

    from backend.workers.jobs.math_job_format import describe
    from backend.workers.jobs.math_job_solve import solve_conditions
    from backend.workers.jobs.math_job_walker import Walker, check_words, has_variables, parse

    tree = parse(source)
    check_words(tree)
    try:
        value = Walker(source, tree).value(tree)
        if value in (sp.true, sp.false) and isinstance(tree, ast.Compare) and has_variables(tree):
            value = solve_conditions([value], [])
        value = _finished(value, asked=isinstance(tree, ast.Call))
        if getattr(value, "is_Matrix", False) is False and hasattr(value, "has") and value.has(sp.nan, sp.zoo):
            raise Refusal("This is not defined (it divides by zero).")
        return describe(value, decimals=decimals)
    except ZeroDivisionError:
        raise Refusal("This divides by zero.") from None
    except NotImplementedError:
        raise Refusal("No method is known for this; try a simpler form, or numbers instead of variables.") from None
    except RecursionError:
        raise Refusal("This is too deeply nested to be worked out.") from None
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, AssertionError, BasePolynomialError):
        raise Refusal("This does not fit together: check the kind and order of the arguments.") from None


def _finished(value: Any, *, asked: bool) -> Any:
    """What a person means by a bare line: an equation is solved, an expression made simpler.

    `asked`: the line is a call, so its result stands as it is.
    """
    import sympy as sp

    from backend.workers.jobs.math_job_matrix import matrix_of
    from backend.workers.jobs.math_job_solve import is_relation, solve_conditions, solve_differential

    if isinstance(value, list) and value and all(isinstance(row, list) for row in value) and not asked:
        return matrix_of(value)
    if isinstance(value, (list, tuple)) and value and any(is_relation(each) for each in value):
        flat = [each for part in value for each in (part if isinstance(part, list) else [part])]
        if any(hasattr(each, "atoms") and each.atoms(sp.Derivative) for each in flat):
            return solve_differential(*flat)
        return solve_conditions([each for each in flat if not getattr(each, "is_Symbol", False)], [])
    if getattr(value, "is_Relational", False):
        if value.atoms(sp.Derivative):
            return solve_differential(value)
        if value.free_symbols and not _is_answer(value):
            return solve_conditions([value], [])
        return value
    if not asked and isinstance(value, sp.Expr) and not isinstance(value, sp.Number):
        return _simpler(value)
    return value


def _is_answer(value: Any) -> bool:
    """Whether an equation is a solved differential equation: f(x) = …"""
    from sympy.core.function import AppliedUndef

    return bool(value.atoms(AppliedUndef))


def _simpler(value: Any) -> Any:
    import sympy as sp

    if value.has(sp.Integral, sp.Sum, sp.Product, sp.Derivative) or value.count_ops() > SIMPLIFY_BELOW_OPERATIONS:
        return value
    if value.is_number:
        expanded = sp.expand(value)
        return expanded if expanded.count_ops() <= value.count_ops() else value
    try:
        simple = within(SIMPLIFY, sp.simplify, value)
    except TooLong:
        return value
    return simple if simple.count_ops() < value.count_ops() else value


@contextmanager
def _long_integers() -> Iterator[None]:
    """Let integers of the allowed size be written out; Python's own limit is 4300 digits."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MAX_DIGITS + 5000)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)
