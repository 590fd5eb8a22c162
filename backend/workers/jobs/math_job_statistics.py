"""Statistics of short lists beyond mean and deviation, exact throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.workers.jobs.math_job_bounds import bounded, power
from backend.workers.jobs.math_job_numbers import MANY, flat, in_order, total
from backend.workers.port import Refusal


def quantile(*values: Any) -> Any:
    """The share, 0 to 1, comes last. Between two numbers the line between them is taken (Excel's inclusive way)."""
    *numbers, share = values
    parts = in_order(flat(tuple(numbers)))
    if not (getattr(share, "is_Rational", False) and 0 <= share <= 1):
        raise Refusal("A quantile takes the numbers and a share from 0 to 1, as in quantile([1, 2, 5], 0.25).")
    place = share * (len(parts) - 1)
    below = int(place)
    if below == len(parts) - 1:
        return parts[-1]
    return parts[below] + (place - below) * (parts[below + 1] - parts[below])


def percentile(*values: Any) -> Any:
    """The same with a share from 0 to 100."""
    if not (getattr(values[-1], "is_Rational", False) and 0 <= values[-1] <= 100):
        raise Refusal("A percentile takes the numbers and a share from 0 to 100, as in percentile([1, 2, 5], 90).")
    return quantile(*values[:-1], values[-1] / 100)


def quartiles(*values: Any) -> list[Any]:
    """The first quartile, the median and the third."""
    import sympy as sp

    return [quantile(*values, sp.Rational(part, 4)) for part in (1, 2, 3)]


def _count(*values: Any) -> Any:
    import sympy as sp

    return sp.Integer(len(flat(values)))


def _positive(values: tuple[Any, ...]) -> list[Any]:
    parts = flat(values)
    if not all(part.is_positive for part in parts):
        raise Refusal("This mean needs positive numbers.")
    return parts


def _geometric(*values: Any) -> Any:
    import sympy as sp

    parts = _positive(values)
    product = sp.Integer(1)
    for part in parts:
        product = bounded(product * part)
    return power(product, sp.Rational(1, len(parts)))


def _harmonic(*values: Any) -> Any:
    parts = _positive(values)
    return len(parts) / total([1 / part for part in parts])


def _pairs(a: Any, b: Any) -> tuple[list[Any], list[Any]]:
    first, second = flat((a,)), flat((b,))
    if len(first) != len(second) or len(first) < 2:
        raise Refusal("This takes two lists of the same length, with at least two numbers each.")
    return first, second


def _deviations(a: list[Any], b: list[Any]) -> Any:
    mean_a, mean_b = total(a) / len(a), total(b) / len(b)
    return total([(x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)])


def _covariance(a: Any, b: Any) -> Any:
    first, second = _pairs(a, b)
    return _deviations(first, second) / (len(first) - 1)


def _correlation(a: Any, b: Any) -> Any:
    import sympy as sp

    first, second = _pairs(a, b)
    spread = _deviations(first, first) * _deviations(second, second)
    if spread == 0:
        raise Refusal("There is no correlation: all numbers of a list are the same.")
    return _deviations(first, second) / power(spread, sp.Rational(1, 2))


def _sorted(*values: Any) -> list[Any]:
    return in_order(flat(values))


def _range(*values: Any) -> Any:
    parts = in_order(flat(values))
    return parts[-1] - parts[0]


LISTS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "quantile": (quantile, 2, MANY),
    "percentile": (percentile, 2, MANY),
    "quartiles": (quartiles, 1, MANY),
    "count": (_count, 1, MANY),
    "geometric_mean": (_geometric, 1, MANY),
    "harmonic_mean": (_harmonic, 1, MANY),
    "covariance": (_covariance, 2, 2),
    "correlation": (_correlation, 2, 2),
    "sort": (_sorted, 1, MANY),
    "data_range": (_range, 1, MANY),
}
"""name -> function of numbers or lists, the least and the most arguments."""
