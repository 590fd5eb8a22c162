"""Units of measure: the names people use, and conversion between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backend.workers.port import Refusal

_BY_LIBRARY_NAME = {
    "meter": "m metre metres meters",
    "kilometer": "km kilometre kilometres kilometers",
    "centimeter": "cm centimetre centimetres centimeters",
    "millimeter": "mm millimetre millimetres millimeters",
    "micrometer": "um micrometers micron",
    "nanometer": "nm nanometers",
    "mile": "mi miles",
    "yard": "yd yards",
    "foot": "ft feet",
    "inch": "inches",
    "nautical_mile": "nmi",
    "lightyear": "ly lightyears",
    "astronomical_unit": "au AU",
    "gram": "g grams",
    "kilogram": "kg kilograms kilo",
    "milligram": "mg milligrams",
    "microgram": "ug micrograms",
    "metric_ton": "t tonne tonnes ton",
    "pound": "lb lbs pounds",
    "second": "s sec seconds",
    "millisecond": "ms milliseconds",
    "microsecond": "us microseconds",
    "nanosecond": "ns nanoseconds",
    "minute": "min minutes",
    "hour": "h hr hours",
    "day": "d days",
    "liter": "l L litre litres liters",
    "milliliter": "ml mL millilitre millilitres milliliters",
    "hertz": "Hz",
    "newton": "newtons",
    "joule": "J joules",
    "watt": "W watts",
    "pascal": "Pa pascals",
    "bar": "bars",
    "atmosphere": "atm atmospheres",
    "psi": "",
    "volt": "V volts",
    "ampere": "A amp amps amperes",
    "ohm": "ohms",
    "coulomb": "C coulombs",
    "kelvin": "K kelvins",
    "mole": "mol moles",
    "bit": "bits",
    "byte": "B bytes",
    "degree": "degrees deg",
    "radian": "radians rad",
}
_BY_SCALE = {
    "week weeks": (7, 1, "day"),
    "year years": (1461, 4, "day"),
    "ounce ounces oz": (45359237, 1_600_000, "gram"),
    "stone stones": (635029318, 100_000, "gram"),
    "gallon gallons gal": (3785411784, 10**9, "liter"),
    "quart quarts": (946352946, 10**9, "liter"),
    "pint pints": (473176473, 10**9, "liter"),
    "cup cups": (2365882365, 10**10, "liter"),
    "cl centiliter centilitre": (1, 100, "liter"),
    "dl deciliter decilitre": (1, 10, "liter"),
    "decimeter dm": (1, 10, "meter"),
    "kilojoule kJ": (1000, 1, "joule"),
    "calorie calories cal": (4184, 1000, "joule"),
    "kilocalorie kilocalories kcal": (4184, 1, "joule"),
    "Wh": (3600, 1, "joule"),
    "kWh": (3_600_000, 1, "joule"),
    "MWh": (3_600_000_000, 1, "joule"),
    "kilowatt kilowatts kW": (1000, 1, "watt"),
    "megawatt megawatts MW": (10**6, 1, "watt"),
    "horsepower hp": (7456998715822702, 10**13, "watt"),
    "kilopascal kPa": (1000, 1, "pascal"),
    "hectopascal hPa": (100, 1, "pascal"),
    "kilonewton kN": (1000, 1, "newton"),
    "kHz": (1000, 1, "hertz"),
    "MHz": (10**6, 1, "hertz"),
    "GHz": (10**9, 1, "hertz"),
    "kilobyte kilobytes KB kB": (10**3, 1, "byte"),
    "megabyte megabytes MB": (10**6, 1, "byte"),
    "gigabyte gigabytes GB": (10**9, 1, "byte"),
    "terabyte terabytes TB": (10**12, 1, "byte"),
    "kibibyte KiB": (2**10, 1, "byte"),
    "mebibyte MiB": (2**20, 1, "byte"),
    "gibibyte GiB": (2**30, 1, "byte"),
    "tebibyte TiB": (2**40, 1, "byte"),
    "Mbit": (10**6, 1, "bit"),
    "Gbit": (10**9, 1, "bit"),
}
_COMPOUND = {
    "mph": (1, "mile", "hour"),
    "kmh kph": (1, "kilometer", "hour"),
    "knot knots": (1, "nautical_mile", "hour"),
    "Mbps": (10**6, "bit", "second"),
}
_AREAS = {"hectare hectares ha": (10_000, 1), "acre acres": (40468564224, 10_000_000)}


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of units. `unit` is the unit as it was asked for."""

    amount: Any
    unit: str


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    import sympy as sp
    from sympy.physics import units

    table: dict[str, Any] = {}
    for library_name, others in _BY_LIBRARY_NAME.items():
        for name in (library_name, *others.split()):
            table[name] = getattr(units, library_name)
    for names, (p, q, base) in _BY_SCALE.items():
        table |= dict.fromkeys(names.split(), sp.Rational(p, q) * table[base])
    for names, (count, above, below) in _COMPOUND.items():
        table |= dict.fromkeys(names.split(), count * table[above] / table[below])
    for names, (p, q) in _AREAS.items():
        table |= dict.fromkeys(names.split(), sp.Rational(p, q) * table["meter"] ** 2)
    table["newton_meter"] = table["newton"] * table["meter"]
    return table


def unit_named(name: str) -> Any | None:
    """The unit of this name, as a SymPy expression; None if there is none."""
    return _table().get(name)


def convert(quantity: Any, target: Any, target_text: str) -> Measure:
    """The quantity in another unit. Raises Refusal when they do not measure the same thing."""
    from sympy.physics import units

    bases = [units.meter, units.kilogram, units.second, units.ampere, units.kelvin, units.mole, units.bit]
    if not target.has(units.Quantity):
        raise Refusal(f"{target_text} is not a unit I know; try km, mile, kg, hour, liter, kWh …")
    ratio = units.convert_to(quantity / target, bases).simplify()
    if ratio.has(units.Quantity) or ratio.free_symbols:
        raise Refusal(f"This cannot be converted to {target_text}: the two do not measure the same thing.")
    return Measure(ratio, target_text.replace("**", "^"))
