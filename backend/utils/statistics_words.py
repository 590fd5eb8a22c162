"""The words for statistics in English, German, French and Spanish."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_WORDS = {
    "mean": "mean|average|avg|arithmetic mean|mittelwert|durchschnitt|durchschnittlich\\w*|mittlere[rsn]?|moyenne?s?"
    "|m[eéè]dia|promedio|medi[oa]|médi[oa]|averaged",
    "median": "median|médiane?|mediana|zentralwert",
    "stdev": "standard deviation|std ?dev|stdev|deviation|standardabweichung|streuung|écart[- ]type"
    "|desviación(?: estándar| típica)?|deviazione(?: standard)?|desvio(?: padrão)?",
    "sum": "sum|total|altogether|summe|gesamt\\w*|insgesamt|somme|suma|somma|soma|totale",
    "max": "max(?:imum)?|highest|best|beste[rsn]?|meilleure?s?|mejor(?:es)?|miglior[ei]?|melhor(?:es)?|largest|"
    "biggest|most expensive|greatest|höchste[rsn]?|größte[rsn]?|teuerste[rsn]?"
    "|plus (?:haut|grand|élevé|cher|chèr)e?|máximo|mayor|más alt[oa]|más car[oa]"
    "|oldest|eldest|longest|tallest|heaviest|newest|(?<!at )most|älteste[rsn]?|längste[rsn]?|meisten?|neueste[rsn]?"
    "|plus (?:âgée?|vieux|vieille|ancien(?:ne)?|long(?:ue)?)|l[ea]s? plus|le plus"
    "|más (?:viej|antigu|larg|grande)[oa]?|más(?=\\s*(?:[?!.]|en\\s|$))"
    "|massim[oa]|máxim[oa]|(?:più|mais) (?:alt[oa]|grande|car[oa]|elevat[oa])|maggior[ei]?|maior",
    "min": "min(?:imum)?|lowest|worst|schlechteste[rsn]?|smallest|cheapest|niedrigste[rsn]?|kleinste[rsn]?|"
    "billigste[rsn]?"
    "|günstigste[rsn]?"
    "|plus (?:bas|petit|faible)(?:se|te)?|moins (?:cher|chère)|mínimo|menor|más baj[oa]|más barat[oa]"
    "|least expensive|youngest|shortest|lightest|fewest|(?<!at )least|jüngste[rsn]?|kürzeste[rsn]?|wenigsten?"
    "|plus (?:jeune|récente?|courte?)|l[ea]s? moins|más (?:joven|cort[oa]|pequeñ[oa])|menos(?=\\s*(?:[?!.]|$))"
    "|minim[oa]|mínim[oa]|(?:più|mais) (?:bass[oa]|baix[oa]|piccol[oa]|barat[oa]|economic[oa]|pequen[oa])|meno "
    "car[oa]|menor",
    "q1": "first quartile|lower quartile|25th percentile|q1|erstes quartil|unteres quartil|premier quartile"
    "|primer cuartil",
    "q3": "third quartile|upper quartile|75th percentile|q3|drittes quartil|oberes quartil|troisième quartile"
    "|tercer cuartil",
    "missing": "missing|empty|blank|null values?|fehlend\\w*|leere?|manquante?s?|faltantes?|vací[oa]s?",
    "distinct": "distinct|unique|different|verschiedene|unterschiedliche|eindeutige|distincte?s?|différente?s?"
    "|distint[oa]s|diferentes|únic[oa]s",
    "count": "total (?:number of|count)|count|how many|number of|anzahl|wie ?viele"
    "|nombre de|combien|cuánt[oa]s|número de|quant[ei](?= \\w)|quant[oa]s|numero di|conteggio",
    "range": "range|spannweite|étendue|rango|intervallo di variazione|amplitude",
    "top": "most common|most frequent|mode|häufigste[rsn]?|modus|plus fréquente?s?|mode|más (?:común|frecuente)|"
    "(?:più|mais) (?:comune|comum|frequente)|moda",
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


_SENTENCE = re.compile(r"(?<=[?!])|(?<=[.;])\s+|\n+")
_JOINED = re.compile(
    r"(?:,|&|/|(?<!\w)(?:and|und|et|y|e|plus|sowie)(?!\w))\s*(?:(?:the|der|die|das|den|la|le|les|el)\s+)?$", re.I
)
_FOLLOWS = re.compile(r"\s*(?:and|what about|how about|und|et|y)(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A statistic that is asked for, its sentence, and where its field may be named: the nearest words first."""

    statistic: str
    sentence: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Superlative:
    """What `oldest` or `cheapest` means: an extreme of the fields it speaks of, the opposite one of others."""

    statistic: str
    fields: re.Pattern[str]
    opposite: re.Pattern[str] | None = None
    strict: bool = True
    """Whether no other field can be meant."""


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{text})(?![^\W_])", re.IGNORECASE)


_AGE = _words("age|alter|âge|edad|years? old")
_BORN = _words(
    "birth\\w*|born|dob|geburts?\\w*|geboren|naissance|nacimiento|date|year|founded|created|built|datum|jahr|année|"
    "fecha|año"
)
_PRICE = _words("price|costs?|fee|preis|kosten|prix|coût|precio|costo|coste")
_LENGTH = _words("length|duration|minutes|seconds|hours|time|länge|dauer|longueur|durée|longitud|duración")
_HEIGHT = _words("height|größe|taille|altura|hauteur|höhe")
_WEIGHT = _words("weight|gewicht|poids|peso|kg|mass")
_SIZE = _words("size|area|population|größe|fläche|einwohner|taille|superficie|tamaño|población")
_PAY = _words(
    "salary|salaries|wages?|income|pay|earnings|earned|gehalt|lohn|einkommen|salaire|revenu|salario|sueldo|ingresos?"
)
_SALES = _words(
    "sold|sales|units|quantity|qty|verkauft|verkäufe|menge|vendue?s?|ventes|quantité|vendid[oa]s?|ventas|cantidad"
)
_SUPERLATIVES = tuple(
    (_words(words), meaning)
    for words, meaning in (
        (
            "oldest|eldest|älteste[rsn]?|plus (?:âgée?|vieux|vieille|ancien(?:ne)?)|más (?:viej|antigu)[oa]",
            Superlative("max", _AGE, _BORN),
        ),
        (
            "youngest|newest|jüngste[rsn]?|neueste[rsn]?|plus (?:jeune|récente?)|más joven",
            Superlative("min", _AGE, _BORN),
        ),
        (
            "most expensive|teuerste[rsn]?|plus (?:cher|chère)|más car[oa]|costs? (?:the )?most",
            Superlative("max", _PRICE),
        ),
        (
            "cheapest|least expensive|billigste[rsn]?|günstigste[rsn]?|moins (?:cher|chère)|más barat[oa]"
            "|costs? (?:the )?least",
            Superlative("min", _PRICE),
        ),
        ("longest|längste[rsn]?|plus long(?:ue)?|más larg[oa]", Superlative("max", _LENGTH, strict=False)),
        ("shortest|kürzeste[rsn]?|plus courte?|más cort[oa]", Superlative("min", _LENGTH, strict=False)),
        ("tallest", Superlative("max", _HEIGHT)),
        ("heaviest", Superlative("max", _WEIGHT)),
        ("lightest", Superlative("min", _WEIGHT)),
        ("largest|biggest|größte[rsn]?|plus grande?|más grande", Superlative("max", _SIZE, strict=False)),
        ("smallest|kleinste[rsn]?|plus petite?|más pequeñ[oa]", Superlative("min", _SIZE, strict=False)),
    )
)
_VERBS = (
    (_words("earn\\w*|makes?|paid|verdien\\w*|gagne\\w*|gana\\w*"), _PAY),
    (_words("sold|sells?|selling|verkauft\\w*|vendue?s?|vend|vendi[óo]|vende|vendid[oa]s?"), _SALES),
)
_WHO = re.compile(
    r"(?<!\w)(?:who|whose|which(?! is the| are the)|wer|wessen|welche[rsnm]?|qui|quell?e?s?(?! est| sont)"
    r"|quiéne?s?|cuál(?:es)?(?! es| son)|qué)(?!\w)",
    re.IGNORECASE,
)


def superlative_named(text: str) -> Superlative | None:
    """The meaning of the superlative in the text that speaks of a kind of field; None for `highest` or `most`."""
    return next((meaning for words, meaning in _SUPERLATIVES if words.search(text)), None)


def fields_of_verb(text: str) -> re.Pattern[str] | None:
    """The fields that a verb speaks of: `earns` of a salary, `sold` of units."""
    return next((fields for words, fields in _VERBS if words.search(text)), None)


def asks_for_row(text: str) -> bool:
    """Whether the text asks who or which one, not how much."""
    return _WHO.search(text) is not None


def noun_asked_for(text: str) -> str | None:
    """The word after `which`: what the rows are, not what is compared."""
    found = _WHO.search(text)
    word = re.match(r"\s+([^\W_]+(?:_\w+)?)", text[found.end() :]) if found else None
    return word[1] if word else None


def names_sum(text: str) -> bool:
    """Whether a sum is asked for, maybe besides another statistic."""
    return dict(STATISTICS)["sum"].search(text) is not None


def without_data(question: str, data: str) -> str:
    """The question without the table that stands in it: names and words inside the data ask for nothing."""
    data = data.strip()
    lines = data.splitlines()
    if not lines:
        return question
    if data in question:
        return question.replace(data, "\n")
    start = question.find(lines[0])
    end = question.rfind(lines[-1])
    if len(lines) == 1 or start < 0 or end < start:
        return question
    return f"{question[:start]}\n{question[end + len(lines[-1]) :]}"


def statistics_named(text: str, names: Collection[str] = ()) -> list[Asked]:
    """What the last sentence that names a statistic asks for; several only where they are joined (`min and max`).

    Args:
        text: The question; of several turns, the last one counts.
        names: Fields of the table: a field called `total` asks for no sum where another statistic is named.
    """
    fields = {name.casefold() for name in names}
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence]
    for at in range(len(sentences) - 1, -1, -1):
        sentence = sentences[at]
        found = _matches(sentence)
        found = [each for each in found if sentence[each[1] : each[2]].casefold() not in fields] or found
        if not found:
            continue
        after = "".join(sentences[at + 1 :])
        later = (after,) if _FOLLOWS.match(after) else ()
        if any(not _JOINED.search(sentence[:start]) for _, start, _ in found[1:]):
            extremes = [each for each in found if each[0] in ("max", "min")] if asks_for_row(sentence) else []
            found = [min(extremes or found, key=lambda each: _ORDER[each[0]])]
            return [Asked(found[0][0], sentence, (*later, sentence, text))]
        ends = [start for _, start, _ in found[1:]] + [len(sentence)]
        return [
            Asked(name, sentence, (*later, sentence[start:end], sentence, text))
            for (name, start, _), end in zip(found, ends, strict=True)
        ]
    return []


_ORDER = {name: place for place, name in enumerate(_WORDS)}


def _matches(sentence: str) -> list[tuple[str, int, int]]:
    """Name, start and end of each statistic, in order; of overlapping words the longer ones count, each name once."""
    every = [(name, *found.span()) for name, pattern in STATISTICS for found in pattern.finditer(sentence)]
    kept: list[tuple[str, int, int]] = []
    for name, start, end in sorted(every, key=lambda each: (each[1] - each[2], _ORDER[each[0]])):
        free = all(end <= other_start or start >= other_end for _, other_start, other_end in kept)
        if free and all(name != other for other, _, _ in kept):
            kept.append((name, start, end))
    return sorted(kept, key=lambda each: each[1])


def statistic_named(text: str) -> str | None:
    """`mean`, `median`, `stdev`, `sum`, `max`, `min`, `q1`, `q3`, `missing`, `distinct`, `count`, `top` or None."""
    return next((name for name, pattern in STATISTICS if pattern.search(text)), None)


def asks_for_statistics(text: str) -> bool:
    """Whether the text names a statistic or asks for an analysis."""
    return statistic_named(text) is not None or DESCRIBE.search(text) is not None
