"""Whole numbers in other ways of writing them: bases 2 to 36, Roman numerals."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.workers.jobs.math_job_bounds import MAX_LITERAL_BITS, integer
from backend.workers.port import Refusal

DIGITS = string.digits + string.ascii_lowercase
PREFIXES = {2: "0b", 8: "0o", 16: "0x"}
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
    (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A number written in a special way. `latex` is its text in mathematics."""

    text: str
    latex: str


def in_base(value: Any, base: Any) -> Written:
    """The digits of a whole number in a base from 2 to 36; with 0b, 0o or 0x where that is usual."""
    limit = 2**MAX_LITERAL_BITS
    number = integer(value, "The number to write in another base", -limit, limit)
    radix = integer(base, "The base", 2, 36)
    rest, digits = abs(number), ""
    while rest:
        rest, digit = divmod(rest, radix)
        digits = DIGITS[digit] + digits
    digits = digits or "0"
    sign = "-" if number < 0 else ""
    return Written(f"{sign}{PREFIXES.get(radix, '')}{digits}", rf"{sign}\mathtt{{{digits}}}_{{{radix}}}")


def from_base(value: Any, base: Any) -> Any:
    """The number that decimal digits mean in a base from 2 to 9: from_base(1101, 2) is 13."""
    import sympy as sp

    radix = integer(base, "The base", 2, 9)
    digits = str(integer(value, "The number", 0, 10**300))
    if any(int(digit) >= radix for digit in digits):
        raise Refusal(f"A number in base {radix} has only the digits 0 to {radix - 1}.")
    return sp.Integer(int(digits, radix))


def roman(value: Any) -> Written:
    """1 to 3999 in Roman numerals."""
    number = integer(value, "A number in Roman numerals", 1, 3999)
    text = to_roman(number)
    return Written(text, rf"\mathrm{{{text}}}")


def to_roman(number: int) -> str:
    """1 to 3999 in Roman numerals."""
    text = ""
    for size, letters in _ROMAN:
        times, number = divmod(number, size)
        text += letters * times
    return text


def number_of_roman(text: str) -> int | None:
    """The number that correct Roman numerals mean; None for anything else."""
    values = {letters: size for size, letters in _ROMAN if len(letters) == 1}
    if not text or any(letter not in values for letter in text) or len(text) > 15:
        return None
    sizes = [values[letter] for letter in text]
    total = sum(-a if a < b else a for a, b in zip(sizes, [*sizes[1:], 0], strict=True))
    return total if 1 <= total <= 3999 and to_roman(total) == text else None


def _base(size: int) -> Any:
    import sympy as sp

    return sp.Integer(size)


TABLE: dict[str, tuple[Callable[..., Any], int, int]] = {
    "hex": (lambda value: in_base(value, _base(16)), 1, 1),
    "bin": (lambda value: in_base(value, _base(2)), 1, 1),
    "oct": (lambda value: in_base(value, _base(8)), 1, 1),
    "to_base": (in_base, 2, 2),
    "from_base": (from_base, 2, 2),
    "roman": (roman, 1, 1),
}
"""name -> function, the least and the most arguments."""
