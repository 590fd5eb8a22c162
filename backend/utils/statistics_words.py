"""The words for statistics in English, German, French and Spanish."""

from __future__ import annotations

import re

_WORDS = {
    "mean": "mean|average|avg|arithmetic mean|mittelwert|durchschnitt|durchschnittlich\\w*|mittlere[rsn]?|moyenne?s?"
    "|media|promedio",
    "median": "median|médiane?|mediana|zentralwert",
    "stdev": "standard deviation|std ?dev|stdev|deviation|standardabweichung|streuung|écart[- ]type"
    "|desviación(?: estándar| típica)?",
    "sum": "sum|total|altogether|summe|gesamt\\w*|insgesamt|somme|suma",
    "max": "max(?:imum)?|highest|largest|biggest|most expensive|greatest|höchste[rsn]?|größte[rsn]?|teuerste[rsn]?"
    "|plus (?:haut|grand|élevé|cher)e?|máximo|mayor|más alt[oa]|más car[oa]",
    "min": "min(?:imum)?|lowest|smallest|cheapest|least|niedrigste[rsn]?|kleinste[rsn]?|billigste[rsn]?"
    "|günstigste[rsn]?"
    "|plus (?:bas|petit|faible)(?:se|te)?|moins chère?|mínimo|menor|más baj[oa]|más barat[oa]",
    "q1": "first quartile|lower quartile|25th percentile|q1|erstes quartil|unteres quartil|premier quartile"
    "|primer cuartil",
    "q3": "third quartile|upper quartile|75th percentile|q3|drittes quartil|oberes quartil|troisième quartile"
    "|tercer cuartil",
    "missing": "missing|empty|blank|null values?|fehlend\\w*|leere?|manquante?s?|faltantes?|vací[oa]s?",
    "distinct": "distinct|unique|different|verschiedene|unterschiedliche|eindeutige|distincte?s?|différente?s?"
    "|distint[oa]s|diferentes|únic[oa]s",
    "count": "count|how many|number of|anzahl|wie ?viele|nombre de|combien|cuánt[oa]s|número de",
    "top": "most common|most frequent|mode|häufigste[rsn]?|modus|plus fréquente?s?|mode|más (?:común|frecuente)|moda",
}
STATISTICS = tuple((name, re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)) for name, words in _WORDS.items())
"""Name of the statistic and how people call it; the earlier entry wins."""

DESCRIBE = re.compile(
    r"(?<!\w)(?:analy[sz]e\w*|analysis|statistics?|stats|summari[sz]e|summary|describe|profile|analysiere\w*|auswert\w*"
    r"|statistik\w*|beschreibe|zusammenfass\w*|quartiles?|statistiques?|résum\w+|décri\w+|analiza\w*|análisis"
    r"|estadísticas?|resum\w+|quartile|cuartiles)(?!\w)",
    re.IGNORECASE,
)
"""Words that ask for all statistics at once."""


def statistic_named(text: str) -> str | None:
    """`mean`, `median`, `stdev`, `sum`, `max`, `min`, `q1`, `q3`, `missing`, `distinct`, `count`, `top` or None."""
    return next((name for name, pattern in STATISTICS if pattern.search(text)), None)


def asks_for_statistics(text: str) -> bool:
    """Whether the text names a statistic or asks for an analysis."""
    return statistic_named(text) is not None or DESCRIBE.search(text) is not None
