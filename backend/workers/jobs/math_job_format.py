"""Results as people read them: exact, numeric and LaTeX."""

from __future__ import annotations

import re
from typing import Any

from backend.workers.jobs.math_job_bases import Written
from backend.workers.jobs.math_job_numbers import PrimeFactors
from backend.workers.jobs.math_job_patience import NUMERIC, TooLong, within
from backend.workers.jobs.math_job_solve import Always, Region, Solutions, place
from backend.workers.jobs.math_job_units import Measure

MAX_LATEX_CHARS = 5000
DIGITS = 15
LONG_INTEGER = 10**15
MAX_READABLE_CHARS = 45
ROUND_NUMBER_ZEROS = 25
"""From so many zeros on, a number is written as a power of ten."""
_POWER = re.compile(r"\*\*")
_TIMES = {1: "once", 2: "twice"}


def describe(value: Any, *, decimals: bool) -> dict[str, Any]:
    """`exact`, `numeric` (None where it would say the same), `latex`, and `sign`: what stands before the result.

    With `decimals`, fractions that end as decimals are written so.
    """
    import sympy as sp

    match value:
        case Solutions():
            return _solutions(value)
        case Always():
            return _made("true for every value", None, r"\text{true for every value}", "→")
        case Region():
            text = _region(value.values, value.symbol.name)
            repeat = _repeat(value.period)
            return _made(text + repeat[0], None, str(sp.latex(value.values)) + repeat[1], "→")
        case Written():
            return _made(value.text, None, value.latex)
        case Measure():
            return _measure(value)
        case PrimeFactors():
            return _factors(value)
        case dict():
            return _counted(value)
        case list() | tuple():
            return _sequence(list(value), decimals)
    if value in (sp.true, sp.false):
        return _made(str(value).lower(), None, rf"\text{{{str(value).lower()}}}", "→")
    if isinstance(value, sp.Eq):
        return _made(f"{write(value.lhs)} = {write(value.rhs)}", None, _latex(value), "→")
    if getattr(value, "is_Matrix", False):
        return _made(_matrix(value, write), _matrix_numeric(value), _latex(value))
    if (power_of_ten := _power_of_ten(value)) is not None:
        return _made(power_of_ten, None, re.sub(r"\^(-?\d+)", r"^{\1}", power_of_ten.replace("*", r" \cdot ")))
    exact = _decimal(value) if decimals else None
    return _made(exact or write(value), None if exact else approximate(value), _latex(value))


def _made(exact: str, numeric: str | None, latex: str, sign: str = "=") -> dict[str, Any]:
    return {"exact": exact, "numeric": numeric if numeric != exact else None, "latex": latex, "sign": sign}


def write(value: Any) -> str:
    """SymPy's text with ^ for powers; floats without trailing zeros."""
    import sympy as sp

    if isinstance(value, sp.Float):
        return _float(value)
    if getattr(value, "is_Matrix", False):
        return _matrix(value, write)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(write(each) for each in value) + "]"
    return _POWER.sub("^", str(value))


def _float(value: Any) -> str:
    text = str(value)
    mantissa, mark, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def approximate(value: Any, digits: int = DIGITS) -> str | None:
    """The value as a decimal; None for what is no number, is a whole number already, or cannot be computed."""
    import sympy as sp

    if not getattr(value, "is_number", False) or value.is_infinite or isinstance(value, sp.Float):
        return None
    if all(part.is_Integer and abs(part) < LONG_INTEGER for part in value.as_real_imag()):
        return None
    try:
        number = within(NUMERIC, lambda: sp.N(value, digits, chop=not value.is_extended_real))
    except (TooLong, ValueError, TypeError, ArithmeticError, NotImplementedError):
        return None
    if not number.is_number or number.has(sp.nan, sp.Integral, sp.Sum, sp.Product):
        return None
    return complex_text(number)


def complex_text(number: Any) -> str:
    """A real or complex float as `1.5 - 2*I`."""
    real, imaginary = number.as_real_imag()
    if imaginary == 0:
        return _float(real)
    sign = "-" if imaginary < 0 else "+"
    head = f"{_float(real)} {sign} " if real != 0 else ("-" if sign == "-" else "")
    size = _float(abs(imaginary))
    return f"{head}{'' if size == '1' else size + '*'}I"


def _decimal(value: Any) -> str | None:
    """A fraction that ends within 15 places, as a decimal."""
    if not getattr(value, "is_Rational", False) or value.is_Integer:
        return None
    p, q = int(value.p), int(value.q)
    places = next((n for n in range(1, DIGITS + 1) if 10**n % q == 0), None)
    if places is None:
        return None
    digits = str(abs(p) * 10**places // q).rjust(places + 1, "0")
    return f"{'-' if p < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _power_of_ten(value: Any) -> str | None:
    """`3*10^400` for a number that is little more than zeros; None for every other."""
    if not getattr(value, "is_Rational", False) or value == 0:
        return None
    large, other = (int(value.p), 1) if value.is_Integer else (int(value.q), int(value.p))
    digits = str(abs(large))
    head = digits.rstrip("0")
    zeros = len(digits) - len(head)
    if zeros < ROUND_NUMBER_ZEROS or len(head) > DIGITS or (not value.is_Integer and head != "1"):
        return None
    lead = int(head) * (-1 if value < 0 else 1) if value.is_Integer else other
    sign = {1: "", -1: "-"}.get(lead, f"{lead}*")
    return f"{sign}10^{zeros if value.is_Integer else -zeros}"


def _latex(value: Any) -> str:
    import sympy as sp

    if getattr(value, "is_Rational", False) and max(abs(int(value.p)), int(value.q)).bit_length() > 4 * MAX_LATEX_CHARS:
        return ""
    text = str(sp.latex(value))
    return text if len(text) <= MAX_LATEX_CHARS else ""


def _matrix(value: Any, cell: Any) -> str:
    rows = ["[" + ", ".join(cell(each) for each in value.row(i)) + "]" for i in range(value.rows)]
    return "[" + ", ".join(rows) + "]"


def _matrix_numeric(value: Any) -> str | None:
    if not all(each.is_number for each in value) or all(each.is_Integer for each in value):
        return None
    return _matrix(value, lambda each: approximate(each, 10) or write(each))


def _solutions(value: Solutions) -> dict[str, Any]:
    import sympy as sp

    exact = " or ".join(", ".join(f"{s} {_value(v)}" for s, v in each) for each in value.found)
    if not value.exact:
        found = " or ".join(", ".join(f"{s} ≈ {complex_text(v)}" for s, v in each) for each in value.found)
        latex = r" \lor ".join(
            ", ".join(rf"{sp.latex(s)} \approx {sp.latex(v)}" for s, v in each) for each in value.found
        )
        return _made(found + ("; there may be others" if value.open_end else ""), None, latex, "→")
    numbers = [v for each in value.found for _, v in each]
    numeric = None
    if "≈" not in exact and all(v.is_number for v in numbers) and any(approximate(v) for v in numbers):
        numeric = " or ".join(", ".join(f"{s} = {approximate(v) or write(v)}" for s, v in each) for each in value.found)
    latex = r" \lor ".join(", ".join(f"{sp.latex(s)} = {_latex(v)}" for s, v in each) for each in value.found)
    repeat = _repeat(value.period)
    return _made(exact + repeat[0], numeric, latex + repeat[1], "→")


def _repeat(period: Any) -> tuple[str, str]:
    """What to add where solutions come again and again: as text and as LaTeX."""
    if period is None:
        return "", ""
    return f", and again after every {write(period)}", rf" \pmod{{{_latex(period)}}}"


def _readable(value: Any) -> str:
    """A number as text, or its decimal where the text would be too long to read."""
    text = write(value)
    return f"≈{approximate(value) or text}" if value.is_number and len(text) > MAX_READABLE_CHARS else text


def _value(value: Any) -> str:
    """The sign and a solution; one without a formula, or with one too long to read, as a decimal."""
    import sympy as sp

    text = write(value)
    if value.is_number and (value.has(sp.CRootOf) or len(text) > MAX_READABLE_CHARS):
        return f"≈ {approximate(value) or text}"
    return f"= {text}"


def _region(values: Any, name: str) -> str:
    import sympy as sp

    if values == sp.S.EmptySet:
        return "no solution"
    if values == sp.S.Reals:
        return f"every real {name}"
    if isinstance(values, sp.Union):
        parts = sorted(values.args, key=lambda part: float(part.inf) if part.inf.is_number else 0.0)
        return " or ".join(_region(part, name) for part in parts)
    if isinstance(values, sp.FiniteSet):
        return " or ".join(f"{name} = {write(each)}" for each in sorted(values.args, key=float))
    if isinstance(values, sp.Interval):
        low, high = write(values.start), write(values.end)
        below, above = "<" if values.left_open else "<=", "<" if values.right_open else "<="
        if values.start == -sp.oo:
            return f"{name} {above} {high}"
        if values.end == sp.oo:
            return f"{name} {'>' if values.left_open else '>='} {low}"
        return f"{low} {below} {name} {above} {high}"
    return write(values)


def _measure(value: Measure) -> dict[str, Any]:
    exact = _decimal(value.amount)
    numeric = None if exact else approximate(value.amount)
    latex = f"{_latex(value.amount)}\\ \\mathrm{{{value.unit}}}"
    written = f"{exact or write(value.amount)} {value.unit}"
    if numeric is None:
        return _made(written, None, latex)
    return _made(written, f"{numeric} {value.unit}", latex, "≈")


def _factors(value: PrimeFactors) -> dict[str, Any]:
    text = " * ".join(f"{key}^{n}" if n > 1 else f"{key}" for key, n in sorted(value.items()))
    return _made(text, None, text.replace("*", r"\cdot"))


def _counted(value: dict[Any, Any]) -> dict[str, Any]:
    """Eigenvalues with how often they occur: `2 (twice), 3 (once)`."""
    value = dict(sorted(value.items(), key=lambda item: place(item[0])))
    parts = [f"{_readable(key)} ({_TIMES.get(int(n), f'{n} times')})" for key, n in value.items()]
    numbers = [approximate(key) for key in value]
    numeric = ", ".join(n or write(key) for n, key in zip(numbers, value, strict=True)) if any(numbers) else None
    return _made(", ".join(parts), numeric, ", ".join(_latex(key) for key in value))


def _sequence(values: list[Any], decimals: bool) -> dict[str, Any]:
    parts = [describe(each, decimals=decimals) for each in values]
    numeric = None
    if any(part["numeric"] for part in parts):
        numeric = "[" + ", ".join(part["numeric"] or part["exact"] for part in parts) + "]"
    latex = r"\left[" + ", ".join(part["latex"] for part in parts) + r"\right]"
    return _made("[" + ", ".join(part["exact"] for part in parts) + "]", numeric, latex)
