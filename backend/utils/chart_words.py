"""The words for charts in English, German, French, Spanish, Italian and Portuguese."""

from __future__ import annotations

import re

_KINDS = {
    "histogram": r"histogram\w*|histogramme|histogrammes|istogramm[ai]|verteilung\w*|distribution\w*|distribuci[oó]n|"
    r"distribuzione|distribuição",
    "scatter": r"scatter\w*|streudiagramm\w*|punktdiagramm\w*|punktwolke|nuage|dispersi[oó]n|dispersão|dispersione",
    "pie": r"pie|kreisdiagramm\w*|tortendiagramm\w*|kuchendiagramm\w*|camembert|secteurs|circulaire|circular|torta|"
    r"pizza|pastel|doughnut|donut",
    "line": r"line|lines|linie\w*|verlauf\w*|kurve\w*|time series|courbes?|lignes?|l[ií]neas?|linhas?|linee",
    "bar": r"bars?|columns? (?:chart|graph|plot|diagram)|säulen\w*|balken\w*|barres?|bâtons|histo-barres|barras?|barre|"
    r"colonne",
}
_KIND = tuple((name, re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)) for name, words in _KINDS.items())
_CHART = re.compile(
    r"(?<!\w)(?:charts?|plot(?:s|ted)?|graph(?:s|ic|ics|ique|iques)?|diagrams?|diagramm\w*|\w+diagramm\w*|schaubild\w*|"
    r"gra(?:f|ph)ik\w*|graphes?|diagrammes?|gr[aá]fic[oa]s?|grafic[oi]|diagramas?|diagramm[ai]|histogram\w*|"
    r"istogramm[ai]|scatterplots?|camembert|nuage de points|visuali[sz]e)(?!\w)",
    re.IGNORECASE,
)


def asks_for_chart(text: str) -> bool:
    """Whether the text asks for a chart of any kind."""
    return _CHART.search(text) is not None


def chart_named(text: str) -> str | None:
    """`bar`, `line`, `histogram`, `scatter` or `pie`; `auto` where no kind is named; None without a chart."""
    if not asks_for_chart(text):
        return None
    return next((name for name, words in _KIND if words.search(text)), "auto")
