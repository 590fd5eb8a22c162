"""The words of everyday calculations in six languages, and what the calculator calls them."""

from __future__ import annotations

from backend.utils.patterns import LazyPattern

N = r"-?\d(?:[\d.,]{0,20}\d)?"


def _rules(*pairs: tuple[str, str]) -> tuple[tuple[LazyPattern, str], ...]:
    return tuple((LazyPattern(pattern), replacement) for pattern, replacement in pairs)


ASKING = LazyPattern(
    r"^\W*(?:(?:e|y|et|und|and|also)\s+)?(?:quanto (?:fa|fanno|è|sono|vale|viene|é|são|dá|dão|resulta)|qual [èé]|"
    r"quanto custa|"
    r"cu[aá]nto (?:es|son|da|suman?|hace)|cu[aá]l es|combien (?:font|fait|valent|vaut)|calcola|calcule|"
    r"wie ?viel (?:ist|sind|ergibt|ergeben|macht)|was (?:ist|sind|ergibt|ergeben|macht)|berechne)\b\s*"
)
REPLACED = _rules(
    (r"\b(?:radice|raiz|raíz) (?:quadrata|quadrada|cuadrada) (?:de|di|do|da)\b", "square root of"),
    (r"\b(?:radice|raiz|raíz) (?:cubica|cúbica) (?:de|di|do|da)\b", "cube root of"),
    (r"\bracine carrée de\b", "square root of"),
    (r"\b(?:risolvi|risolvere|resolva|resolver)(?: (?:l['’]|a |la )?(?:equazione|equação))?\b", "solve"),
    (r"(?<=\d)\s+(?:al quadrato|ao quadrado)\b", "^2"),
    (r"(?<=\d)\s+(?:al cubo|ao cubo)\b", "^3"),
    (r"(?<=[\d.,])\s+(?:per ?cento|por ?cento|porcento)\b", "%"),
    (r"(?<=\d)\s+factorial\b", "!"),
)
FRACTION_NOUNS = {
    2: "half halves hälfte moitié mitad metà metade",
    3: "third thirds drittel tiers tercio tercios terzo terzi terço terços",
    4: "quarter quarters fourth fourths viertel quart quarts cuarto cuartos quarto quarti quartos",
    5: "fifth fifths fünftel cinquième cinquièmes quinto quintos quinti",
    6: "sixth sixths sechstel sixième sixièmes sexto sextos sesto sesti",
    8: "eighth eighths achtel huitième huitièmes octavo octavos ottavo ottavi oitavo oitavos",
    10: "tenth tenths zehntel dixième dixièmes décimo décimos decimo decimi",
}
_OF = r"(?:of|von|vom|aus|de|du|des|del|di|do|da|d['’])"
_ONE = r"(?:a|an|one|the|ein|eine|die|das|un|une|la|le|el|il|lo|o|um|uma|1)"
PARTS = tuple(
    (
        LazyPattern(
            rf"\b(?:(?P<n>\d{{1,2}})\s+|{_ONE}\s+)?(?:{'|'.join(nouns.split())})\s+{_OF}\s*(?P<a>{N}(?:\s*%)?)(?!\w)"
        ),
        whole,
    )
    for whole, nouns in FRACTION_NOUNS.items()
)
"""A part of a number, and into how many parts the whole falls."""
MULTIPLES = tuple(
    (LazyPattern(rf"\b(?:{_ONE}\s+)?(?:{words})\s+(?:{_OF}\s*)?(?P<a>{N})(?![\w%])"), factor)
    for factor, words in (
        (2, "double|twice|doppelte|zweifache|doble|doppio|dobro"),
        (3, "triple|treble|thrice|three times|dreifache|triplo"),
        (4, "quadruple|vierfache|cuádruple|quadruplo|quádruplo"),
    )
)
OPERATORS = tuple(
    (LazyPattern(rf"(?<=[\w)%])\s+(?:{words})\s+(?=[-\w(√])"), sign)
    for words, sign in (
        (r"diviso(?: per)?|dividido (?:por|entre)|dividid[oa]s? (?:por|entre)|entre", "/"),
        (r"moltiplicato per|multiplicado por|vezes", "*"),
        (r"più|mais", "+"),
        (r"meno|menos", "-"),
        (r"elevato (?:a|alla)|elevado [aà]", "^"),
    )
)
TIMES_IN_ITALIAN = LazyPattern(rf"(?<=\d)\s+per\s+(?={N}(?![\w.,]*\s*%))")

_UNIT_WORDS = {
    "gram": "gramm gramos gramo grammi grammo gramas grama grammes gramme g",
    "kilogram": "kilo kilos kg kilogramm kilogramos chilo chili chilogrammo chilogrammi quilo quilos quilogramas "
    "kilogrammes kilogramme kilogrammo",
    "kilometer": "km kilometer kilometern kilomètres kilomètre kilómetros kilómetro kilometros chilometri chilometro "
    "quilômetros quilômetro quilómetros kilometers kilometres",
    "meter": "m meter metern mètres mètre metros metro metri meters metres",
    "centimeter": "cm zentimeter centimètres centímetros centimetri centimeters centimetres",
    "mile": "meile meilen milles mille millas milla miglia miglio milhas milha mile miles",
    "foot": "fuß pieds pied pies pie piedi piede pés pé feet foot",
    "inch": "zoll pouces pouce pulgadas pulgada pollici pollice polegadas polegada inches inch",
    "pound": "pfund livres livre libras libra libbre libbra pounds pound lbs lb",
    "ounce": "unze unzen onces once onzas onza once oncia onças onça ounces ounce oz",
    "hour": "stunde stunden heures heure horas hora ore ora hours hour h",
    "minute": "minuten minute minutes minutos minuto minuti min",
    "second": "sekunde sekunden secondes seconde segundos segundo secondi secondo seconds second",
    "day": "tag tage tagen jours jour días día dias dia giorni giorno days day",
    "week": "woche wochen semaines semaine semanas semana settimane settimana weeks week",
    "liter": "liter litern litres litre litros litro litri liters l",
    "celsius": "celsius °c", "fahrenheit": "fahrenheit °f",
}  # fmt: skip
UNITS = {word: name for name, words in _UNIT_WORDS.items() for word in words.split()}
_U = r"(?P<{}>[^\W\d]{{1,14}}|°[CF])"
CONVERSIONS = tuple(
    LazyPattern(pattern.replace("<N>", f"(?P<x>{N})").replace("<FROM>", _U.format("f")).replace("<TO>", _U.format("t")))
    for pattern in (
        r"^\W*(?:quant[eioa]s?|cu[aá]nt[oa]s?|combien de|wie ?viele?|how many) <TO> (?:sono|ci sono in|son|são|há em|"
        r"hay en|"
        r"tienen|tem|têm|fanno|hanno|font|y a-t-il dans|sind|ergeben|are|are in|are there in|in|dans|en|em) "
        r"<N>\s?<FROM>\W*$",
        r"^\W*(?:what is |what's |how much (?:is|are) |convert |converti |converta |convertir |convertis |"
        r"convertissez |"
        r"convierte |rechne |wie ?viel (?:ist|sind) |quanto (?:è|sono|é|são) |cu[aá]nto (?:es|son) |combien font )?"
        r"<N>\s?<FROM> (?:in|to|into|a|em|en|nach|para) <TO>(?: um)?\W*$",
    )
)

TIME_UNITS = {
    "hour": "hour hours hr stunde stunden heure heures hora horas ora ore",
    "day": "day days tag tage tagen jour jours día días dia dias giorno giorni",
    "week": "week weeks woche wochen semaine semaines semana semanas settimana settimane",
    "month": "month months monat monate monaten mois mes meses mese mesi mês",
    "quarter": "quarter quarters quartal quartale trimestre trimestres trimestri",
    "year": "year years jahr jahre jahren an ans année années año años anno anni ano anos",
}
PERIODS = {word: name for name, words in TIME_UNITS.items() for word in words.split()}
PER_LONGER = {
    ("hour", "day"): 24, ("day", "week"): 7, ("day", "year"): 365, ("week", "year"): 52, ("month", "year"): 12,
    ("quarter", "year"): 4, ("month", "quarter"): 3, ("hour", "week"): 168,
}  # fmt: skip
"""How many of the shorter are in the longer."""
