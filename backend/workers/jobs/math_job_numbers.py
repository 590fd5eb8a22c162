"""Number theory, rounding, and statistics of short lists, exact throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from backend.workers.jobs.math_job_bounds import (
    MAX_FACTORIAL,
    MAX_FACTORINT,
    MAX_FLOOR,
    MAX_LITERAL_BITS,
    MAX_PRIME_TEST,
    bounded,
    integer,
    modest,
    power,
)
from backend.workers.port import Refusal

MANY = 400
MAX_DIVISORS = 2000
MAX_PRIME_INDEX = 1_000_000
MAX_PRIME_COUNT = 10_000_000
MAX_FIBONACCI = 90_000


class PrimeFactors(dict[Any, int]):
    """Primes (and -1) and how often each divides a number; told apart from other counted values by its type."""


def flat(values: tuple[Any, ...]) -> list[Any]:
    """Numbers given one by one or as a list. Raises Refusal when there are none."""
    import sympy as sp

    out: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            out += flat(tuple(value)) if value else []
        elif getattr(value, "is_Matrix", False):
            out += list(value)
        else:
            out.append(value)
    if not out or not all(isinstance(value, sp.Expr) for value in out):
        raise Refusal("This needs at least one number, as in mean(3, 5, 9).")
    return out


def factor_integer(value: Any) -> PrimeFactors:
    """Prime factors and how often each occurs."""
    import sympy as sp

    number = integer(value, "The number to factor", -MAX_FACTORINT, MAX_FACTORINT)
    if number in (-1, 0, 1):
        raise Refusal(f"{number} has no prime factors.")
    return PrimeFactors({sp.Integer(prime): int(times) for prime, times in sp.factorint(number).items()})


def _isprime(value: Any) -> Any:
    import sympy as sp

    return sp.true if sp.isprime(integer(value, "The number to test", -MAX_PRIME_TEST, MAX_PRIME_TEST)) else sp.false


def _divisors(value: Any) -> list[Any]:
    import sympy as sp

    number = integer(value, "The number", 1, MAX_FACTORINT)
    if sp.divisor_count(number) > MAX_DIVISORS:
        raise Refusal(f"This number has more than {MAX_DIVISORS:,} divisors.")
    return [sp.Integer(each) for each in sp.divisors(number)]


def _whole(make: str, what: str, low: int, high: int) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        import sympy as sp

        return sp.Integer(getattr(sp, make)(integer(value, what, low, high)))

    return call


def _mod_inverse(value: Any, modulus: Any) -> Any:
    import sympy as sp

    limit = 2**MAX_LITERAL_BITS
    try:
        return sp.Integer(
            pow(integer(value, "The number", -limit, limit), -1, integer(modulus, "The modulus", 2, limit))
        )
    except ValueError:
        raise Refusal("There is no inverse: the number and the modulus have a common divisor.") from None


def _powmod(base: Any, exponent: Any, modulus: Any) -> Any:
    import sympy as sp

    limit = 2**MAX_LITERAL_BITS
    whole = integer(base, "The base", -limit, limit), integer(exponent, "The exponent", -limit, limit)
    try:
        return sp.Integer(pow(*whole, integer(modulus, "The modulus", 1, limit)))
    except ValueError:
        raise Refusal("There is no inverse: the number and the modulus have a common divisor.") from None


def _remainders(moduli: Any, rests: Any) -> Any:
    """The smallest number that leaves these rests: crt([3, 5, 7], [2, 3, 2]) is 23."""
    import sympy as sp
    from sympy.ntheory.modular import crt

    limit = 2**MAX_LITERAL_BITS
    sizes = [integer(each, "A modulus", 2, limit) for each in flat((moduli,))]
    wanted = [integer(each, "A rest", -limit, limit) for each in flat((rests,))]
    if len(sizes) != len(wanted):
        raise Refusal("crt takes two lists of the same length: the moduli and the rests.")
    found = crt(sizes, wanted)
    if found is None:
        raise Refusal("No number leaves these rests.")
    return bounded(sp.Integer(int(found[0])))


def _bezout(a: Any, b: Any) -> list[Any]:
    """x, y and the common divisor g with a*x + b*y = g."""
    import sympy as sp

    limit = 2**MAX_LITERAL_BITS
    return [
        sp.Integer(int(each))
        for each in sp.gcdex(
            sp.Integer(integer(a, "The number", -limit, limit)), sp.Integer(integer(b, "The number", -limit, limit))
        )
    ]


def _divisor_sigma(value: Any, exponent: Any = None) -> Any:
    import sympy as sp

    times = 1 if exponent is None else integer(exponent, "The exponent", 0, 100)
    return sp.Integer(sp.divisor_sigma(integer(value, "The number", 1, MAX_FACTORINT), times))


def _multinomial(*parts: Any) -> Any:
    import sympy as sp

    sizes = [integer(part, "A part", 0, MAX_FACTORIAL) for part in parts]
    integer(sp.Integer(sum(sizes)), "The sum of the parts", 0, MAX_FACTORIAL)
    result = sp.factorial(sum(sizes))
    for size in sizes:
        result /= sp.factorial(size)
    return result


def _floor(value: Any) -> Any:
    import sympy as sp

    return sp.floor(_roundable(value, "floor"))


def _trunc(value: Any) -> Any:
    import sympy as sp

    return sp.ceiling(_roundable(value, "trunc")) if value.is_negative else sp.floor(_roundable(value, "trunc"))


def _ceil(value: Any) -> Any:
    import sympy as sp

    return sp.ceiling(_roundable(value, "ceil"))


def _roundable(value: Any, what: str) -> Any:
    return value if value.is_Rational else modest(value, what, MAX_FLOOR)


def _round(value: Any, digits: Any = None) -> Any:
    """Half away from zero, as taught at school; exact."""
    import sympy as sp

    places = 0 if digits is None else integer(digits, "The number of places", -150, 150)
    if not value.is_number or not value.is_extended_real:
        raise Refusal("round works on a real number.")
    scale = sp.Integer(10) ** places
    size = sp.floor(_roundable(abs(value), "round") * scale + sp.Rational(1, 2)) / scale
    return -size if value.is_negative else size


def _mod(value: Any, modulus: Any) -> Any:
    import sympy as sp

    if modulus == 0:
        raise Refusal("This divides by zero.")
    return sp.Mod(_roundable(value, "mod"), _roundable(modulus, "mod"))


def _common(name: str) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        import sympy as sp

        parts = flat(values)
        result = parts[0]
        for part in parts[1:]:
            result = bounded(getattr(sp, name)(result, part))
        return abs(result) if result.is_Integer else result

    return call


def _extreme(name: str) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        import sympy as sp

        return getattr(sp, name)(*flat(values))

    return call


def total(values: list[Any]) -> Any:
    """The exact sum."""
    import sympy as sp

    return sp.Add(*values)


def _mean(*values: Any) -> Any:
    parts = flat(values)
    return total(parts) / len(parts)


def in_order(parts: list[Any]) -> list[Any]:
    """Real numbers from small to large. Raises Refusal for others."""
    if not all(part.is_number and part.is_extended_real for part in parts):
        raise Refusal("This needs real numbers.")
    return sorted(parts)


def _median(*values: Any) -> Any:
    parts = in_order(flat(values))
    middle = len(parts) // 2
    return parts[middle] if len(parts) % 2 else (parts[middle - 1] + parts[middle]) / 2


def _mode(*values: Any) -> Any:
    counted = Counter(flat(values))
    most = max(counted.values())
    found = in_order([value for value, times in counted.items() if times == most])
    return found[0] if len(found) == 1 else found


def _variance(parts: list[Any], less: int) -> Any:
    if len(parts) <= less:
        raise Refusal("The sample deviation needs at least two numbers.")
    mean = total(parts) / len(parts)
    return total([(part - mean) ** 2 for part in parts]) / (len(parts) - less)


def _spread(less: int, root: bool) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        import sympy as sp

        variance = _variance(flat(values), less)
        return power(variance, sp.Rational(1, 2)) if root else variance

    return call


TABLE: dict[str, tuple[Callable[..., Any], int, int]] = {
    "isprime": (_isprime, 1, 1),
    "factorint": (factor_integer, 1, 1),
    "divisors": (_divisors, 1, 1),
    "totient": (_whole("totient", "The number", 1, MAX_FACTORINT), 1, 1),
    "prime": (_whole("prime", "The position", 1, MAX_PRIME_INDEX), 1, 1),
    "primepi": (_whole("primepi", "The bound", 0, MAX_PRIME_COUNT), 1, 1),
    "nextprime": (_whole("nextprime", "The number", 0, 10**60), 1, 1),
    "prevprime": (_whole("prevprime", "The number", 3, 10**60), 1, 1),
    "fibonacci": (_whole("fibonacci", "The position", 0, MAX_FIBONACCI), 1, 1),
    "lucas": (_whole("lucas", "The position", 0, MAX_FIBONACCI), 1, 1),
    "divisor_count": (_whole("divisor_count", "The number", 1, MAX_FACTORINT), 1, 1),
    "divisor_sigma": (_divisor_sigma, 1, 2),
    "mobius": (_whole("mobius", "The number", 1, MAX_FACTORINT), 1, 1),
    "factorial2": (_whole("factorial2", "The number", 0, MAX_FACTORIAL), 1, 1),
    "subfactorial": (_whole("subfactorial", "The number", 0, MAX_FACTORIAL), 1, 1),
    "bell": (_whole("bell", "The position", 0, 500), 1, 1),
    "multinomial": (_multinomial, 1, 20),
    "gcdex": (_bezout, 2, 2),
    "mod_inverse": (_mod_inverse, 2, 2),
    "powmod": (_powmod, 3, 3),
    "floor": (_floor, 1, 1),
    "ceil": (_ceil, 1, 1),
    "trunc": (_trunc, 1, 1),
    "round": (_round, 1, 2),
    "mod": (_mod, 2, 2),
}
"""name -> function, the least and the most arguments."""

LISTS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "crt": (_remainders, 2, 2),
    "gcd": (_common("gcd"), 1, MANY),
    "lcm": (_common("lcm"), 1, MANY),
    "min": (_extreme("Min"), 1, MANY),
    "max": (_extreme("Max"), 1, MANY),
    "mean": (_mean, 1, MANY),
    "median": (_median, 1, MANY),
    "mode": (_mode, 1, MANY),
    "stdev": (_spread(1, True), 1, MANY),
    "pstdev": (_spread(0, True), 1, MANY),
    "variance": (_spread(1, False), 1, MANY),
    "pvariance": (_spread(0, False), 1, MANY),
}
"""The same for functions that also take lists."""
