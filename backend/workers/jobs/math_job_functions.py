"""The functions an expression may call: SymPy objects in and out, bounds checked first, text never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backend.workers.jobs import math_job_bases as bases
from backend.workers.jobs import math_job_calculus as calculus
from backend.workers.jobs import math_job_matrix as matrix
from backend.workers.jobs import math_job_numbers as numbers
from backend.workers.jobs import math_job_solve as solving
from backend.workers.jobs import math_job_statistics as statistics
from backend.workers.jobs.math_job_bounds import (
    MAX_FACTORIAL,
    MAX_PRECISION,
    MAX_SPECIAL,
    check_expansion,
    integer,
    modest,
    power,
    substitute,
)
from backend.workers.port import Refusal

MANY = 400


@dataclass(frozen=True, slots=True)
class Function:
    """`least` to `most` arguments; `structures` says whether lists and tuples are allowed among them."""

    call: Callable[..., Any]
    least: int = 1
    most: int = 1
    structures: bool = False

    @property
    def takes(self) -> str:
        """e.g. `1 or 2 values`."""
        if self.least == self.most:
            return f"{self.least} value{'s' if self.least != 1 else ''}"
        return f"{self.least} to {self.most} values"


@lru_cache(maxsize=1)
def functions() -> Mapping[str, Function]:
    """By name, as they may be written; aliases are entries of their own. Made once, before the fork."""
    table = _elementary() | _algebra() | _special()
    table |= {
        "solve": Function(solving.solve, 1, 12, structures=True),
        "nsolve": Function(solving.solve_numerically, 1, 3),
        "dsolve": Function(solving.solve_differential, 1, 8, structures=True),
        "roots": Function(solving.roots, 1, 2),
        "diff": Function(calculus.differentiate, 1, 6, structures=True),
        "derivative_at": Function(calculus.derivative_at, 4, 4),
        "integrate": Function(calculus.integrate, 1, 4, structures=True),
        "limit": Function(calculus.limit, 2, 4),
        "gradient": Function(calculus.gradient, 1, 7, structures=True),
        "hessian": Function(calculus.hessian, 1, 7, structures=True),
        "jacobian": Function(calculus.jacobian, 1, 2, structures=True),
        "series": Function(calculus.series, 1, 4),
        "Sum": Function(calculus.add_up, 1, MANY, structures=True),
        "Product": Function(calculus.multiply_up, 1, MANY, structures=True),
        "N": Function(_numeric, 1, 2, structures=True),
        "subs": Function(_subs, 3, 3),
    }
    for with_lists, source in (
        (True, matrix.TABLE),
        (True, numbers.LISTS),
        (True, statistics.LISTS),
        (False, numbers.TABLE),
        (False, bases.TABLE),
    ):
        table |= {name: Function(call, least, most, with_lists) for name, (call, least, most) in source.items()}
    for alias, name in _ALIASES.items():
        table[alias] = table[name]
    return table


_ALIASES = {
    "Abs": "abs",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "ceiling": "ceil",
    "derivative": "diff",
    "integral": "integrate",
    "taylor": "series",
    "sum": "Sum",
    "summation": "Sum",
    "product": "Product",
    "comb": "binomial",
    "combinations": "binomial",
    "permutations": "perm",
    "is_prime": "isprime",
    "lim": "limit",
    "evalf": "N",
    "sgn": "sign",
    "grad": "gradient",
    "nCr": "binomial",
    "ncr": "binomial",
    "nPr": "perm",
    "npr": "perm",
    "inverse": "inv",
    "matrix": "Matrix",
    "average": "mean",
    "std": "stdev",
}


def _elementary() -> dict[str, Function]:
    import sympy as sp

    plain = {
        "abs": sp.Abs,
        "sign": sp.sign,
        "exp": lambda x: power(sp.E, x),
        "ln": sp.log,
        "re": sp.re,
        "im": sp.im,
        "conjugate": sp.conjugate,
        "arg": sp.arg,
        "erf": sp.erf,
        "erfc": sp.erfc,
        "sqrt": lambda x: power(x, sp.Rational(1, 2)),
        "cbrt": lambda x: _root(x, sp.Integer(3)),
        "log10": lambda x: sp.log(x, 10),
        "log2": lambda x: sp.log(x, 2),
    }
    for name in [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "asin",
        "acos",
        "atan",
        "acot",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "asinh",
        "acosh",
        "atanh",
    ]:
        plain[name] = getattr(sp, name)
    table = {name: Function(call) for name, call in plain.items()}
    table |= {
        "log": Function(lambda x, *base: sp.log(x, *base), 1, 2),
        "root": Function(_root, 2, 2),
        "atan2": Function(sp.atan2, 2, 2),
        "hypot": Function(lambda a, b: power(a**2 + b**2, sp.Rational(1, 2)), 2, 2),
        "degrees": Function(lambda x: x * 180 / sp.pi),
        "radians": Function(lambda x: x * sp.pi / 180),
        "percent": Function(lambda x: x / 100),
    }
    return table


def _root(value: Any, degree: Any) -> Any:
    """The real root where there is one: the cube root of -8 is -2."""
    import sympy as sp

    n = integer(degree, "The degree of a root", 1, 1000)
    if value.is_negative and n % 2:
        return -power(-value, sp.Rational(1, n))
    return power(value, sp.Rational(1, n))


def _algebra() -> dict[str, Function]:
    import sympy as sp

    def expand(expression: Any) -> Any:
        check_expansion(expression)
        return sp.expand(expression)

    def factor(expression: Any) -> Any:
        if expression.is_Integer:
            return numbers.factor_integer(expression)
        check_expansion(expression)
        return sp.factor(expression)

    plain = {
        "expand": expand,
        "factor": factor,
        "simplify": sp.simplify,
        "trigsimp": sp.trigsimp,
        "together": sp.together,
        "cancel": sp.cancel,
        "numer": sp.numer,
        "denom": sp.denom,
    }
    table = {name: Function(call) for name, call in plain.items()}
    table |= {
        "apart": Function(sp.apart, 1, 2),
        "collect": Function(lambda expression, *by: sp.collect(expand(expression), by or _free(expression)), 1, 3),
        "degree": Function(lambda expression, *by: sp.Integer(sp.degree(expression, *by)), 1, 2),
        "coeff": Function(lambda expression, x, n: sp.expand(expression).coeff(x, n), 3, 3),
        "quo": Function(lambda a, b, *x: sp.quo(a, b, *x), 2, 3),
        "rem": Function(lambda a, b, *x: sp.rem(a, b, *x), 2, 3),
        "discriminant": Function(lambda f, *x: sp.discriminant(f, *x), 1, 2),
    }
    return table


def _free(expression: Any) -> list[Any]:
    return sorted(expression.free_symbols, key=lambda symbol: symbol.name)


def _special() -> dict[str, Function]:
    import sympy as sp

    def factorial(x: Any) -> Any:
        modest(x, "factorial", MAX_FACTORIAL)
        if x.is_negative:
            raise Refusal("The factorial of a negative number is not defined.")
        return sp.factorial(x)

    def special(make: Callable[..., Any], name: str, most: int = MAX_SPECIAL) -> Callable[..., Any]:
        return lambda *values: make(*(modest(value, name, most) for value in values))

    return {
        "factorial": Function(factorial),
        "gamma": Function(special(sp.gamma, "gamma", MAX_FACTORIAL)),
        "beta": Function(lambda a, b: sp.beta(modest(a, "beta", MAX_SPECIAL), modest(b, "beta", MAX_SPECIAL)), 2, 2),
        "zeta": Function(special(sp.zeta, "zeta")),
        "harmonic": Function(special(sp.harmonic, "harmonic", MAX_FACTORIAL)),
        "bernoulli": Function(special(sp.bernoulli, "bernoulli")),
        "catalan": Function(special(sp.catalan, "catalan", MAX_FACTORIAL)),
        "binomial": Function(special(sp.binomial, "binomial", MAX_FACTORIAL), 2, 2),
        "perm": Function(special(lambda n, k=None: sp.ff(n, n if k is None else k), "perm", MAX_FACTORIAL), 1, 2),
    }


def _numeric(value: Any, digits: Any = None) -> Any:
    import sympy as sp

    precision = 15 if digits is None else integer(digits, "The number of digits", 1, MAX_PRECISION)
    if isinstance(value, (list, tuple)):
        return [_numeric(each, digits) for each in value]
    if getattr(value, "is_Boolean", False) or isinstance(value, dict):
        raise Refusal("N works on numbers, matrices and lists of them.")
    return sp.N(value, precision)


def _subs(expression: Any, symbol: Any, value: Any) -> Any:
    if not getattr(symbol, "is_Symbol", False):
        raise Refusal("subs takes an expression, a variable and its value, as in subs(x^2+1, x, 3).")
    return substitute(expression, symbol, value)
