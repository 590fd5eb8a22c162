"""What an expression may cost before it is worked out, and the operations that need such a check."""

from __future__ import annotations

import math
from typing import Any

from backend.workers.port import Refusal

MAX_NODES = 400
MAX_DEPTH = 40
MAX_LITERAL_BITS = 4000
MAX_DIGITS = 20_000
MAX_BITS = int(MAX_DIGITS * math.log2(10))
MAX_FACTORIAL = 3000
MAX_POLYNOMIAL_POWER = 200
MAX_MATRIX = 30
MAX_TERMS = 10_000
MAX_PRECISION = 200
MAX_FACTORINT = 10**30
MAX_PRIME_TEST = 10**300
MAX_FLOOR = 10**300
MAX_EXPANDED_TERMS = 20_000
MAX_DERIVATIVE = 50
MAX_SERIES = 30
MAX_SPECIAL = 500


def bounded(value: Any) -> Any:
    """The value itself. Raises Refusal for a number of more than 20,000 digits."""
    if getattr(value, "is_Rational", False) and max(int(value.p).bit_length(), int(value.q).bit_length()) > MAX_BITS:
        raise Refusal(f"A number in this has more than {MAX_DIGITS:,} digits; try smaller ones.")
    return value


def integer(value: Any, what: str, low: int, high: int) -> int:
    """A whole number within bounds, as a Python int. Raises Refusal."""
    if not getattr(value, "is_Integer", False) or not low <= int(value) <= high:
        raise Refusal(f"{what} must be a whole number from {_rounded(low)} to {_rounded(high)}.")
    return int(value)


def _rounded(bound: int) -> str:
    """A bound for a sentence: a long one as a power of ten."""
    if abs(bound) < 10**15:
        return f"{bound:,}"
    return f"{'-' if bound < 0 else ''}10^{len(str(abs(bound))) - 1}"


def power(base: Any, exponent: Any) -> Any:
    """base**exponent, refused beforehand where the result would be enormous."""
    import sympy as sp

    if getattr(base, "is_Matrix", False):
        return base ** integer(exponent, "The power of a matrix", -MAX_POLYNOMIAL_POWER, MAX_POLYNOMIAL_POWER)
    if getattr(exponent, "is_Matrix", False):
        raise Refusal("A matrix cannot be an exponent here.")
    if base.is_Rational and exponent.is_Rational:
        bits = max(abs(int(base.p)), int(base.q)).bit_length() - 1
        if abs(exponent) * bits > MAX_BITS:
            raise Refusal(f"The power {short(base)}^{short(exponent)} has more than {MAX_DIGITS:,} digits.")
    elif exponent.is_number and base.is_number and abs(sp.N(exponent, 15)) > MAX_BITS:
        raise Refusal(f"The exponent is larger than {MAX_BITS:,}; try a smaller one.")
    if base.free_symbols and exponent.is_Rational:
        inner = base.exp if base.is_Pow and base.exp.is_Rational else sp.Integer(1)
        if abs(exponent * inner) > MAX_POLYNOMIAL_POWER:
            raise Refusal(f"A power of an expression may be at most {MAX_POLYNOMIAL_POWER}.")
    return bounded(base**exponent)


def short(value: Any) -> str:
    """A number as text, cut to a few digits."""
    if getattr(value, "is_Integer", False) and int(value).bit_length() > 200:
        return "(a large number)"
    return str(value)[:40]


def modest(value: Any, what: str, high: int) -> Any:
    """An argument that, if it is a number, is at most `high` in size. Raises Refusal."""
    import sympy as sp

    if value.is_number:
        size = abs(value) if value.is_Rational else abs(sp.N(value, 15))
        if not (size <= high) == True:  # noqa: E712  (a relation that cannot be decided is no bound)
            raise Refusal(f"The argument of {what} is too large; try a smaller one.")
    return value


def check_expansion(expression: Any) -> None:
    """Raises Refusal when multiplying everything out would give more than 20,000 terms."""
    if _terms(expression) > MAX_EXPANDED_TERMS:
        raise Refusal(f"Expanded, this would have more than {MAX_EXPANDED_TERMS:,} terms; try a smaller power.")


def _terms(expression: Any) -> int:
    if expression.is_Add:
        return sum(_terms(part) for part in expression.args)
    if expression.is_Mul:
        return math.prod(min(_terms(part), MAX_EXPANDED_TERMS + 1) for part in expression.args)
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        inner, times = _terms(expression.base), int(expression.exp)
        return math.comb(min(inner, 10_000) + times - 1, times) if inner > 1 else 1
    return 1


def substitute(expression: Any, symbol: Any, value: Any) -> Any:
    """`expression` with the symbol replaced, every power and factorial on the way checked again."""
    import sympy as sp

    if expression == symbol:
        return value
    if not expression.args or not expression.has(symbol):
        return expression
    args = [substitute(part, symbol, value) for part in expression.args]
    if expression.is_Pow:
        return power(args[0], args[1])
    if isinstance(expression, (sp.factorial, sp.gamma, sp.binomial)):
        modest(args[0], "a factorial", MAX_FACTORIAL)
    if isinstance(expression, (sp.zeta, sp.harmonic, sp.bernoulli)):
        modest(args[0], "a special function", MAX_FACTORIAL)
    return bounded(expression.func(*args))
