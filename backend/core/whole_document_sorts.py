"""Kinds of things that can be listed from a text by how they look: dates, deadlines, amounts, addresses."""

from __future__ import annotations

from dataclasses import dataclass

from backend.utils.patterns import LazyPattern

_MONTH = (
    r"(?:jan(?:uary|uar|vier|eiro)?|feb(?:ruary|ruar)?|f[eé]vrier|mar(?:ch|s|zo|ço)?|märz|apr(?:il|ile)?|avril|abril|"
    r"may|mai|"
    r"mayo|maggio|june?|juni|juin|junio|giugno|july?|juli|juillet|julio|luglio|aug(?:ust)?|août|agosto|sep(?:t|"
    r"tember)?|"
    r"septembre|septiembre|settembre|setembro|o[ck]t(?:ober)?|octobre|octubre|ottobre|outubro|nov(?:ember|embre|"
    r"iembre)?|"
    r"de[cz](?:ember)?|décembre|diciembre|dicembre|dezembro|enero|gennaio|febrero|febbraio|fevereiro|janeiro|novembro)"
)
_DATE = (
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b|\b\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of| de| "
    rf"d[eo]s?)? "
    rf"{_MONTH}\b(?:\.?,?(?: de)? \d{{4}})?|\b{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}})?"
)
_SPAN = (
    r"\b(?:\d+|one|two|three|four|five|six|ten|twelve|fourteen|thirty|sixty|ninety|ein\w*|zwei|drei|vier|sechs|zehn|"
    r"vierzehn|"
    r"dreißig|deux|trois|quatre|dix|quinze|trente|dos|tres|diez|quince|treinta|due|tre|dieci|trenta|três|dez|trinta)\W+"
    r"(?:working |business |calendar |full |werk|kalender)?(?:days?|weeks?|months?|years?|hours?|tagen?|wochen?|"
    r"monaten?|"
    r"jahren?|stunden?|jours?|semaines?|mois|ans?|heures?|días?|semanas?|mes(?:es)?|años?|horas?|giorni|settimane|"
    r"mesi|anni|"
    r"ore|dias?|anos?)\b"
)
_DUE = (
    r"\b(?:deadline|due|by|before|no later than|not later than|until|at the latest|within|expires?|notice period|"
    r"frist\w*|"
    r"bis|spätestens|innerhalb|binnen|vor dem|läuft ab|échéance|avant le|au plus tard|dans (?:un délai|les)|délai|"
    r"plazo|"
    r"antes del?|a más tardar|dentro de|vence|scadenza|entro|prima del|prazo|até|no máximo)\b"
)
_AMOUNT = (
    r"(?:[$€£¥]|\b(?:EUR|USD|GBP|CHF|JPY|CAD|AUD))\s?\d[\d.,'’\u00a0\u202f ]*\d*|"
    r"\b\d[\d.,'’\u00a0\u202f]*\s?(?:[$€£¥]|(?:EUR|USD|GBP|CHF|JPY|euros?|dollars?|pounds?|francs?|dólares)\b)"
)


@dataclass(frozen=True, slots=True)
class Sort:
    """A kind of thing that can be listed: how people ask for it, and how it looks. `needs` must be there too."""

    asked: LazyPattern
    looks: LazyPattern
    needs: LazyPattern | None = None

    def is_in(self, text: str) -> bool:
        return self.looks.search(text) is not None and (self.needs is None or self.needs.search(text) is not None)


SORTS = (
    Sort(
        LazyPattern(
            r"deadline|due date|time limit|frist|stichtag|échéance|delais?|délais?|plazo|vencimiento|scadenz|prazo"
        ),
        LazyPattern(rf"{_DATE}|{_SPAN}"),
        LazyPattern(_DUE),
    ),
    Sort(LazyPattern(r"\bdates?\b|\bdat(?:um|en)\b|termin|\bfechas?\b|\bdat[ae]s?\b"), LazyPattern(_DATE)),
    Sort(
        LazyPattern(
            r"amount|price|cost|fee|sums?\b|money|payment|betr[aä]g|preis|kosten|gebühr|summe|montant|prix|frais|"
            r"coût|importe|"
            r"precio|cuota|import[oi]|prezz|cost[oi]|valor|preço|quantia"
        ),
        LazyPattern(_AMOUNT),
    ),
    Sort(LazyPattern(r"e-?mail"), LazyPattern(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")),
    Sort(
        LazyPattern(r"phone|telefon|téléphone|teléfono|numbers? to call"),
        LazyPattern(r"(?<![\w.])(?:\+|00)?\(?\d[\d ()/.-]{6,18}\d(?![\w.])"),
    ),
    Sort(
        LazyPattern(r"\burls?\b|links?\b|web ?(?:site|address|page)|webseite|enlace|lien"),
        LazyPattern(r"\bhttps?://\S+|\bwww\.\S+"),
    ),
    Sort(
        LazyPattern(r"percent|prozent|pourcent|porcent|percentual"),
        LazyPattern(r"\b\d[\d.,]*\s?(?:%|percent|prozent|pour cent)"),
    ),
    Sort(LazyPattern(r"\bnumbers?\b|\bfigures?\b|zahl|chiffre|número|cifra|numer[oi]"), LazyPattern(r"\d")),
)
