"""How people ask for mathematics in English, German, French and Spanish: patterns, and what each means."""

from __future__ import annotations

import re

X = r"(?P<x>.+?)"
"""The expression that a phrase is about."""
END = r"[\s?.!]*$"
_THE = r"(?:the |die |das |den |der |la |le |les |l'|el |los |las )?"

LEADS = re.compile(
    r"^(?:please|bitte|kindly|hey|hi|hello|hallo|bonjour|hola|ok|so|now|and|also|then|und|et|y|dann|puis|luego"
    r"|s'il (?:te|vous) plaît|por favor|tell me|sag mir|dis-moi|dime|i need to|i want to|help me(?: to)?|let's"
    r"|(?:can|could|would|will) you(?: please)?|kannst du(?: mir)?(?: bitte)?|könn(?:te|ten|test|en) (?:du"
    r"|sie)(?: bitte)?"
    r"|peux-tu|pouvez-vous|puedes|podrías|use the calculator(?: to| and)?|do the math:?)[\s,:]+",
    re.IGNORECASE,
)
"""Polite beginnings without meaning; stripped as often as they occur."""

CUES = re.compile(
    r"^(?:what(?:'s| is| are| does| would be| do you get for)|whats|how much (?:is|are|does)|how many (?:is"
    r"|are)|calculate|compute"
    r"|evaluate|work out|find|determine|give me|show me|what will be|result of"
    r"|berechne|rechne(?: mir)?|berechnen sie|was (?:ist|sind|ergibt|macht|gibt)|wie ?viel (?:ist|sind|ergibt"
    r"|macht|gibt)"
    r"|bestimme|ermittle|finde|wie (?:groß|hoch) ist"
    r"|combien (?:font|fait|vaut|valent|est)|calcule[rz]?|que (?:vaut|font|fait)|quel(?:le)? est|quels? sont"
    r"|quelles sont"
    r"|trouve[rz]?|détermine[rz]?|évalue[rz]?"
    r"|cuánto (?:es|son|da|vale|hace)|cuanto (?:es|son|da|vale)|calcula(?:r)?|calcule|qué es|cuál es|cuáles son"
    r"|encuentra|halla(?:r)?"
    r"|determina(?:r)?|evalúa|evalua)\b[\s:,]*(?:¿\s*)?(?:the value of |the result of |den wert von "
    r"|la valeur de |el valor de )?",
    re.IGNORECASE,
)
"""Beginnings that ask for a value."""

TAILS = re.compile(
    r"[\s,]*(?:\?|please|bitte|por favor|s'il (?:te|vous) plaît|exactly|equal(?:s| to)?|as a decimal|for me|=)+\s*$"
    r"|(?<=[\w)])\.$",
    re.IGNORECASE,
)

NUMBER_WORDS = {
    word: str(value)
    for words, value in (
        ("two zwei deux dos", 2),
        ("three drei trois tres", 3),
        ("four vier quatre cuatro", 4),
        ("five fünf cinq cinco", 5),
        ("six sechs seis", 6),
        ("seven sieben sept siete", 7),
        ("eight acht huit ocho", 8),
        ("nine neun neuf nueve", 9),
        ("ten zehn dix diez", 10),
        ("eleven elf onze once", 11),
        ("twelve zwölf douze doce", 12),
        ("twenty zwanzig vingt veinte", 20),
        ("hundred hundert cent cien", 100),
        ("thousand tausend mille mil", 1000),
    )
    for word in words.split()
}
NUMBER_WORD = re.compile(r"\b(?:" + "|".join(NUMBER_WORDS) + r")\b", re.IGNORECASE)

OPERATORS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?<=[\w)\]!%])\s+(?:{words})\s+(?=[-\w(√])", re.IGNORECASE), sign)
    for words, sign in (
        (r"plus|added to|más", "+"),
        (r"minus|less|moins|menos", "-"),
        (r"times|multiplied (?:by|with)|mal|multipliziert mit|fois|multiplié par|por|multiplicado por", "*"),
        (r"divided by|over|geteilt durch|dividiert durch|durch|divisé par|sur|dividido (?:por|entre)|entre", "/"),
        (
            r"to the power(?: of)?|raised to(?: the power(?: of)?)?|hoch|(?:à la )?puissance|exposant"
            r"|elevado a(?: la)?",
            "^",
        ),
        (r"modulo|mod", "%"),
    )
)
"""Words between two operands."""

SUFFIXES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?<=[\w)])\s+(?:{words})\b", re.IGNORECASE), sign)
    for words, sign in (
        (r"squared|zum quadrat|im quadrat|au carré|al cuadrado", "^2"),
        (r"cubed|hoch drei|au cube|al cubo", "^3"),
        (r"factorial|fakultät|factorielle", "!"),
    )
)
"""Words after one operand."""

PERCENT = re.compile(r"(?<=\d)\s*(?:percent|per cent|prozent|pour ?cents?|por ciento)\b", re.IGNORECASE)

INFINITY = re.compile(r"\b(?:plus )?(?:infinity|unendlich|l'infini|infini|el infinito|infinito)\b", re.IGNORECASE)

_OF = r"(?:of|von|vom|de|du|des|del|d'|di)"
_AND = r"\s*(?:,\s*(?:and|und|et|y)|,|\band\b|\bund\b|\bet\b|\by\b|&)\s*"
LIST_AND = re.compile(_AND, re.IGNORECASE)

_LIST = r"(?P<list>[-\d.\s,;]+(?:(?:and|und|et|y|,)\s*-?[\d.]+)*)"
_BY = (
    r"(?:\s+(?:with respect to|w\.?r\.?t\.?|for|nach|par rapport à|respecto (?:a|de)"
    r"|con respecto a)\s+(?P<v>[a-zA-Z]))?"
)
_RANGE = (
    r"(?:\s*d[a-z])?(?:\s+(?:from|between|von|de|desde|entre)\s+(?P<a>.+?)\s+(?:to|and|bis|à|a|hasta|et"
    r"|y)\s+(?P<b>.+?))?"
    r"(?:\s*d[a-z])?"
)
_EQUATION = (
    r"(?:equations?|systems?|gleichung(?:ssystem)?|gleichungen|l'équation|équation|système|ecuación"
    r"|sistema|inequality|ungleichung|inéquation|inecuación)"
)
_FOR = r"(?:\s+(?:for|nach|in|pour|para)\s+(?P<v>[a-zA-Z]))?(?:\s+auf)?"

_TABLE: tuple[tuple[str, str], ...] = (
    # percent
    (rf"(?P<p>\d[\d.,]*)\s*%\s*(?:{_OF}|auf)\s*(?:the )?{X}", "{p}% of {x}"),
    (r"(?P<a>[\d.,]+) is what (?:percent(?:age)?|%) of (?P<b>[\d.,]+)", "{a}/{b}*100"),
    (r"what (?:percent(?:age)?|%) of (?P<b>[\d.,]+) is (?P<a>[\d.,]+)", "{a}/{b}*100"),
    (r"wie ?viel (?:prozent|%) (?:von|aus) (?P<b>[\d.,]+) (?:sind|ist) (?P<a>[\d.,]+)", "{a}/{b}*100"),
    (r"wie ?viel (?:prozent|%) (?:sind|ist) (?P<a>[\d.,]+) von (?P<b>[\d.,]+)", "{a}/{b}*100"),
    (r"quel pourcentage de (?P<b>[\d.,]+) (?:est|représente) (?P<a>[\d.,]+)", "{a}/{b}*100"),
    (r"qué porcentaje de (?P<b>[\d.,]+) (?:es|representa) (?P<a>[\d.,]+)", "{a}/{b}*100"),
    (r"(?:increase )?(?P<a>[\d.,]+) (?:increased )?by (?P<p>[\d.]+)\s*%", "{a} + {p}%"),
    (r"(?:decrease|reduce) (?P<a>[\d.,]+) by (?P<p>[\d.]+)\s*%", "{a} - {p}%"),
    (r"(?P<a>[\d.,]+) (?:decreased|reduced) by (?P<p>[\d.]+)\s*%", "{a} - {p}%"),
    # calculus
    (
        rf"{_THE}(?:(?P<n2>second|2nd|zweite|dérivée seconde|segunda) |(?P<n3>third|3rd|dritte|tercera) "
        rf"|(?:first|erste) )?"
        rf"(?:derivative|ableitung|dérivée|derivada) {_OF}\s*{X}{_BY}",
        "diff",
    ),
    (rf"{_THE}(?:dérivée|derivada) (?:(?P<n2>seconde|segunda)|(?P<n3>troisième|tercera)) {_OF}\s*{X}{_BY}", "diff"),
    (rf"(?:differentiate|dérive[rz]?|deriva[r]?) {X}{_BY}", "diff"),
    (rf"leite {X}{_BY} ab", "diff"),
    (rf"d/d(?P<v>[a-z])\s*(?:of )?{X}", "diff"),
    (rf"(?:integrate|integriere|intègre[rz]?|integra[r]?) {X}{_RANGE}", "integrate"),
    (
        rf"{_THE}(?:definite |indefinite |bestimmte |unbestimmte )?(?:integral|intégrale|antiderivative"
        rf"|stammfunktion|primitive|primitiva)"
        rf" (?:définie |definida )?{_OF}\s*{X}{_RANGE}",
        "integrate",
    ),
    (rf"∫\s*{X}{_RANGE}", "integrate"),
    (
        rf"{_THE}limit (?:of )?{X} (?:as|when|for) (?P<v>[a-z])\s*(?:approaches|goes to|tends to|->|→|to)\s*(?P<a>.+)",
        "limit",
    ),
    (rf"lim(?:it)?\s+(?P<v>[a-z])\s*(?:->|→)\s*(?P<a>\S+)\s+(?:of )?{X}", "limit"),
    (rf"{_THE}grenzwert von {X} (?:für|wenn) (?P<v>[a-z]) (?:gegen|->|→)\s*(?P<a>.+?)(?: geht| strebt)?", "limit"),
    (rf"{_THE}limite de {X} (?:quand|lorsque) (?P<v>[a-z]) tend vers (?P<a>.+)", "limit"),
    (rf"{_THE}l[íi]mite de {X} cuando (?P<v>[a-z]) tiende a (?P<a>.+)", "limit"),
    (
        rf"{_THE}(?:taylor |maclaurin )?series (?:expansion )?of {X}(?: (?:around|at"
        rf"|about) (?:[a-z]\s*=\s*)?(?P<a>\S+))?",
        "series",
    ),
    (
        rf"{_THE}(?:sum|summe|somme|suma) {_OF}\s*{X} (?:for|für|pour|para|from|von|de) (?P<v>[a-z])\s*(?:="
        rf"|from|von|de)\s*(?P<a>\S+)"
        r" (?:to|bis|à|a|hasta) (?P<b>\S+)",
        "Sum({x}, ({v}, {a}, {b}))",
    ),
    # equations
    (
        rf"(?:solve|löse|résou[sd](?:re|s|ez)?|resuelve"
        rf"|resolver)(?: for (?P<v>[a-z])\s*:?)?(?:\s*:)?\s+{_THE}(?:{_EQUATION})?\s*:?\s*{X}",
        "solve",
    ),
    (rf"{_THE}(?:roots|zeros|zeroes|nullstellen|racines|raíces) {_OF}\s*{X}", "roots({x})"),
    # algebra
    (rf"(?:factor|factori[sz]e|faktorisiere|factorise[rz]?|factoriza[r]?) {X}", "factor({x})"),
    (rf"(?:expand|développe[rz]?|expande|desarrolla[r]?) {X}", "expand({x})"),
    (rf"multipliziere {X} aus", "expand({x})"),
    (rf"(?:simplify|vereinfache|simplifie[rz]?|simplifica[r]?) {X}", "simplify({x})"),
    # number theory
    (
        rf"{_THE}(?:prime factors|prime factori[sz]ation|primfaktoren|primfaktorzerlegung|facteurs premiers"
        rf"|factores primos)"
        rf" {_OF}\s*(?P<x>\d+)",
        "factorint({x})",
    ),
    (r"is (?P<x>\d+) (?:a )?prime(?: number)?", "isprime({x})"),
    (r"ist (?P<x>\d+) (?:eine )?primzahl|ist (?P<x2>\d+) prim", "isprime({x})"),
    (r"(?:est-ce que )?(?P<x>\d+) est(?:-il)? (?:un nombre )?premier", "isprime({x})"),
    (r"¿?es (?P<x>\d+) (?:un número )?primo", "isprime({x})"),
    (
        rf"{_THE}(?:gcd|gcf|hcf|greatest common (?:divisor|factor)|ggt|größter? gemeinsamer? teiler|pgcd|mcd"
        rf"|máximo común divisor)"
        rf" {_OF}\s*{_LIST}",
        "gcd({list})",
    ),
    (
        rf"{_THE}(?:lcm|(?:least|lowest|smallest) common multiple|kgv|kleinstes? gemeinsames? vielfaches?|ppcm"
        rf"|mcm|mínimo común múltiplo)"
        rf" {_OF}\s*{_LIST}",
        "lcm({list})",
    ),
    (rf"{_THE}(?:factorial|fakultät|factorielle|factorial) {_OF}\s*(?P<x>\d+)", "factorial({x})"),
    (r"(?P<a>\d+) (?:choose|über|parmi) (?P<b>\d+)", "binomial({a}, {b})"),
    # functions
    (rf"{_THE}(?:square root|quadratwurzel|wurzel|racine carrée|raíz cuadrada) (?:{_OF}|aus)\s*{X}", "sqrt({x})"),
    (rf"{_THE}(?:cube root|kubikwurzel|dritte wurzel|racine cubique|raíz cúbica) (?:{_OF}|aus)\s*{X}", "cbrt({x})"),
    (r"(?:the )?(?P<n>\d+)(?:th|rd) root of (?P<x>.+?)", "root({x}, {n})"),
    (r"(?:the )?log(?:arithm)? (?:to )?(?:the )?base (?P<n>\w+) of (?P<x>.+?)", "log({x}, {n})"),
    (r"(?:the )?natural log(?:arithm)? of (?P<x>.+?)", "ln({x})"),
    (
        r"(?:the )?(?P<f>sine|cosine|tangent|sin|cos|tan|sinus|cosinus|kosinus|tangens|seno|coseno|tangente) "
        rf"{_OF}\s*{X}",
        "trig",
    ),
    # matrices
    (
        rf"{_THE}(?P<f>determinant|determinante|déterminant|inverse|inverso|inversa|rank|rang|rango|eigenvalues"
        rf"|eigenwerte|valeurs propres"
        rf"|valores propios|eigenvectors|transpose|trace) {_OF}\s*{_THE}(?:matrix |matriz |matrice )?(?P<x>\[\[.+\]\])",
        "matrix",
    ),
    # statistics of plain numbers
    (
        rf"{_THE}(?P<f>mean|average|arithmetic mean|median|mode|standard deviation|variance|sum|total|product"
        rf"|max(?:imum)?|min(?:imum)?"
        rf"|mittelwert|durchschnitt|standardabweichung|varianz|summe|moyenne|médiane|somme|écart[- ]type|media"
        rf"|promedio|mediana|suma"
        rf"|desviación estándar) {_OF}\s*(?:the (?:numbers|values) )?\[?{_LIST}\]?",
        "statistics",
    ),
)

PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(r"^" + pattern + END, re.IGNORECASE), meaning) for pattern, meaning in _TABLE
)
"""Whole phrases and their meaning: a template, or the name of a shape that math_text builds."""

TRIGONOMETRY = {"sine": "sin", "sinus": "sin", "seno": "sin", "cosine": "cos", "cosinus": "cos", "kosinus": "cos"} | {
    "coseno": "cos",
    "tangent": "tan",
    "tangens": "tan",
    "tangente": "tan",
}
MATRIX_FUNCTIONS = {"determinant": "det", "determinante": "det", "déterminant": "det", "inverse": "inv"} | {
    "inverso": "inv",
    "inversa": "inv",
    "rang": "rank",
    "rango": "rank",
    "eigenvalues": "eigenvals",
    "eigenwerte": "eigenvals",
    "valeurs propres": "eigenvals",
    "valores propios": "eigenvals",
    "eigenvectors": "eigenvects",
}
STATISTICS = {
    "average": "mean",
    "arithmetic mean": "mean",
    "mittelwert": "mean",
    "durchschnitt": "mean",
    "moyenne": "mean",
    "media": "mean",
    "promedio": "mean",
    "médiane": "median",
    "mediana": "median",
    "standard deviation": "stdev",
    "standardabweichung": "stdev",
    "écart-type": "stdev",
    "écart type": "stdev",
    "desviación estándar": "stdev",
    "varianz": "variance",
    "summe": "sum",
    "somme": "sum",
    "suma": "sum",
    "total": "sum",
    "maximum": "max",
    "minimum": "min",
}

_UNIT_NAMES = """
    m metre metres meter meters km kilometre kilometres kilometer kilometers cm mm mile miles mi yard yards yd ft foot
    feet inch inches nmi g gram grams kg kilogram kilograms mg tonne tonnes t lb lbs pound pounds oz ounce ounces stone
    s sec second seconds ms minute minutes min hour hours h day days week weeks year years l L liter liters litre litres
    ml mL cl gallon gallons pint pints cup cups quart quarts mph km/h kmh m/s knot knots J kJ joule joules cal kcal
    calories Wh kWh W kW watt watts hp horsepower Pa kPa hPa bar atm psi N kN bit bits byte bytes KB MB GB TB KiB MiB
    GiB acre acres hectare hectares ha
"""
UNITS = {name: name for name in _UNIT_NAMES.split()} | {
    "meile": "mile",
    "meilen": "mile",
    "fuß": "foot",
    "zoll": "inch",
    "pfund": "pound",
    "unzen": "ounce",
    "stunde": "hour",
    "stunden": "hour",
    "minuten": "minute",
    "sekunden": "second",
    "tage": "day",
    "tagen": "day",
    "wochen": "week",
    "gramm": "gram",
    "kilogramm": "kilogram",
    "mètres": "meter",
    "kilomètres": "kilometer",
    "milles": "mile",
    "heures": "hour",
    "secondes": "second",
    "jours": "day",
    "livres": "pound",
    "kilogrammes": "kilogram",
    "metros": "meter",
    "kilómetros": "kilometer",
    "millas": "mile",
    "horas": "hour",
    "minutos": "minute",
    "segundos": "second",
    "días": "day",
    "libras": "pound",
    "kilogramos": "kilogram",
    "litros": "liter",
    "in": "inch",
}
_UNIT = r"[a-zA-ZäöüßéèíáóñèÄÖÜ/]+"
_AMOUNT = r"(?P<x>-?\d[\d.,]*)"
CONVERSIONS = tuple(
    re.compile(r"^" + pattern + END, re.IGNORECASE)
    for pattern in (
        rf"(?:convert |convertis |convierte |rechne )?{_AMOUNT}\s*(?P<from>{_UNIT}|°?[CF])\s+(?:to|in|into|as"
        rf"|en|a|nach)\s+"
        rf"(?P<to>{_UNIT}|°?[CF])(?: um(?:rechnen)?)?",
        rf"how many (?P<to>{_UNIT}) (?:are |is )?(?:there )?(?:in|is|are) {_AMOUNT}\s*(?P<from>{_UNIT})",
        rf"how many (?P<to>{_UNIT}) (?:are |is )?(?:there )?(?:in|make up|make) (?P<x>an?|one) (?P<from>{_UNIT})",
        rf"wie ?viele? (?P<to>{_UNIT}) (?:sind|ist|hat|haben) {_AMOUNT}\s*(?P<from>{_UNIT})",
        rf"combien de (?P<to>{_UNIT}) (?:font|fait|dans|y a-t-il dans) {_AMOUNT}\s*(?P<from>{_UNIT})",
        rf"cuánt[oa]s (?P<to>{_UNIT}) (?:son|hay en|tienen) {_AMOUNT}\s*(?P<from>{_UNIT})",
    )
)
TWO_UNITS = re.compile(
    rf"^(?:convert |what is |how much is )?(?P<a>\d[\d.]*)\s*(?P<u>{_UNIT})(?:,| and)?\s+"
    rf"(?P<b>\d[\d.]*)\s*(?P<w>{_UNIT})\s+(?:in|to|into|as)\s+(?P<to>{_UNIT})" + END,
    re.IGNORECASE,
)
"""An amount in two units: 3 hours 45 minutes, 5 feet 11 inches."""
TEMPERATURES = {
    ("c", "f"): "{x}*9/5 + 32",
    ("f", "c"): "({x} - 32)*5/9",
    ("c", "k"): "{x} + 273.15",
    ("k", "c"): "{x} - 273.15",
    ("f", "k"): "({x} - 32)*5/9 + 273.15",
    ("k", "f"): "({x} - 273.15)*9/5 + 32",
}
TEMPERATURE_NAMES = {"c": "c", "°c": "c", "celsius": "c", "f": "f", "°f": "f", "fahrenheit": "f", "kelvin": "k"}
