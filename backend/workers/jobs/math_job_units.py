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
    "newton": "N newtons",
    "joule": "J joules",
    "watt": "W watts",
    "pascal": "Pa pascals",
    "bar": "bars",
    "atmosphere": "atm atmospheres",
    "volt": "V volts",
    "ampere": "A amp amps amperes",
    "ohm": "ohms",
    "coulomb": "C coulombs",
    "kelvin": "K kelvins",
    "farad": "farads",
    "siemens": "",
    "tesla": "teslas",
    "weber": "",
    "henry": "",
    "mole": "mol moles",
    "bit": "bits",
    "byte": "B bytes",
    "degree": "degrees deg",
    "radian": "radians rad",
}
_BY_SCALE = {
    "nautical_mile nauticalmile nmi NM": (1852, 1, "meter"),
    "parsec parsecs pc": (30856775814913673, 1, "meter"),
    "thou mil": (254, 10**7, "meter"),
    "furlong furlongs": (201168, 1000, "meter"),
    "fathom fathoms": (18288, 10**4, "meter"),
    "short_ton": (90718474, 100, "gram"),
    "carat carats ct": (1, 5, "gram"),
    "grain grains": (6479891, 10**8, "gram"),
    "month months": (487, 16, "day"),
    "decade decades": (7305, 2, "day"),
    "century centuries": (36525, 1, "day"),
    "fortnight fortnights": (14, 1, "day"),
    "tablespoon tablespoons tbsp": (147867647825, 10**13, "liter"),
    "teaspoon teaspoons tsp": (492892159375, 10**14, "liter"),
    "floz fluid_ounce": (295735295625, 10**13, "liter"),
    "barrel barrels bbl": (158987294928, 10**9, "liter"),
    "hl hectoliter hectolitre": (100, 1, "liter"),
    "eV electronvolt electronvolts": (1602176634, 10**28, "joule"),
    "keV": (1602176634, 10**25, "joule"),
    "MeV": (1602176634, 10**22, "joule"),
    "BTU btu Btu": (105505585262, 10**8, "joule"),
    "megajoule megajoules MJ": (10**6, 1, "joule"),
    "gigajoule GJ": (10**9, 1, "joule"),
    "GWh": (3_600_000_000_000, 1, "joule"),
    "gigawatt gigawatts GW": (10**9, 1, "watt"),
    "milliwatt mW": (1, 1000, "watt"),
    "PS": (73549875, 10**5, "watt"),
    "mmHg": (133322387415, 10**9, "pascal"),
    "torr Torr": (101325, 760, "pascal"),
    "inHg": (3386389, 1000, "pascal"),
    "psi": (6894757293168361336722673, 10**21, "pascal"),
    "megapascal megapascals MPa": (10**6, 1, "pascal"),
    "millibar millibars mbar": (100, 1, "pascal"),
    "pound_force lbf": (44482216152605, 10**13, "newton"),
    "kgf": (980665, 10**5, "newton"),
    "millivolt mV": (1, 1000, "volt"),
    "kilovolt kV": (1000, 1, "volt"),
    "milliampere mA": (1, 1000, "ampere"),
    "petabyte petabytes PB": (10**15, 1, "byte"),
    "pebibyte PiB": (2**50, 1, "byte"),
    "kilobit kilobits kbit Kbit": (10**3, 1, "bit"),
    "megabit megabits": (10**6, 1, "bit"),
    "gigabit gigabits": (10**9, 1, "bit"),
    "turn turns revolution revolutions": (360, 1, "degree"),
    "grad gon": (9, 10, "degree"),
    "arcminute arcminutes arcmin": (1, 60, "degree"),
    "arcsecond arcseconds arcsec": (1, 3600, "degree"),
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
    "mpg": (1, "mile", "gallon"),
    "rpm": (1, "turn", "minute"),
    "kbps": (10**3, "bit", "second"),
    "Gbps": (10**9, "bit", "second"),
    "fps": (1, "foot", "second"),
    "kmh kph": (1, "kilometer", "hour"),
    "knot knots": (1, "nautical_mile", "hour"),
    "Mbps": (10**6, "bit", "second"),
}
_AREAS = {"hectare hectares ha": (10_000, 1), "acre acres": (40468564224, 10_000_000), "are ares": (100, 1)}
TEMPERATURES = {
    **dict.fromkeys(("celsius", "Celsius", "degC", "centigrade", "C"), (1, 27315, 100)),
    **dict.fromkeys(("fahrenheit", "Fahrenheit", "degF", "F"), (9, 45967, 100)),
    **dict.fromkeys(("kelvin", "Kelvin", "kelvins", "K"), (1, 0, 1)),
    **dict.fromkeys(("rankine", "Rankine", "degR"), (9, 0, 1)),
}
"""Scales of temperature: 1 for degrees of a kelvin, 9 for such of 5/9 kelvin, and the scale's zero above absolute zero
in its own degrees, as a fraction."""
_SYMBOLS = {"celsius": "°C", "degc": "°C", "centigrade": "°C", "c": "°C", "fahrenheit": "°F", "degf": "°F", "f": "°F"}


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
    """The quantity in another unit.

    Fuel used per distance and distance per fuel are each other's inverse, and are converted so.

    Raises:
        Refusal: the two do not measure the same thing.
    """
    from sympy.physics import units

    bases = [units.meter, units.kilogram, units.second, units.ampere, units.kelvin, units.mole, units.bit]
    if not target.has(units.Quantity):
        raise Refusal(f"{target_text} is not a unit I know; try km, mile, kg, hour, liter, kWh …")
    ratio = units.convert_to(quantity / target, bases).simplify()
    if ratio.has(units.Quantity) and quantity != 0:
        inverse = units.convert_to(1 / (quantity * target), bases).simplify()
        ratio = ratio if inverse.has(units.Quantity) else inverse
    if ratio.has(units.Quantity) or ratio.free_symbols:
        raise Refusal(f"This cannot be converted to {target_text}: the two do not measure the same thing.")
    return Measure(ratio, target_text.replace("**", "^"))


def convert_temperature(amount: Any, start: str, end: str) -> Measure:
    """From one scale to another, both names of TEMPERATURES. Raises Refusal below absolute zero."""
    import sympy as sp

    size, p, q = TEMPERATURES[start]
    above_zero = amount + sp.Rational(p, q)
    if above_zero.is_negative:
        raise Refusal("This is below absolute zero (-273.15 °C, -459.67 °F, 0 K).")
    kelvins = above_zero * sp.Rational(5 if size == 9 else 1, size)
    size, p, q = TEMPERATURES[end]
    result = kelvins * sp.Rational(size, 5 if size == 9 else 1) - sp.Rational(p, q)
    return Measure(result, _SYMBOLS.get(end.lower(), "K" if size == 1 else "°R"))
