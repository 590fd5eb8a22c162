"""What a question is about, read for comparison with sentences of documents. Pure functions.

Names, codes, years and dates must agree with the sentence; ordinary words may stand near it; measures, modal verbs and
words for papers may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.utils.language import FUNCTION_WORDS, content_words, detect_language, stem, stems, words
from backend.utils.patterns import LazyPattern


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _stemmed(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


CONTAINERS = _stemmed(
    "document documents file files pdf handbook manual contract report paper text upload uploaded attachment says "
    "state "
    "states mention mentions according tell find section passage policy agreement lease list table notes guide "
    "dokument dokumente dokumenten datei handbuch vertrag bericht laut unterlagen anleitung ordnung "
    "fichier manuel contrat rapport règlement documento documentos archivo contrato informe reglamento documenti "
    "contratto rapporto manuale regolamento arquivo relatorio regulamento"
)
"""Words for where the answer should be found."""
MEASURES = _stemmed("long many much often old far big large high heavy late lang lange hoch oft alt weit groß schwer")
_LIGHT = MEASURES | _stemmed(
    "allowed allow permitted possible able need needs get gets got receive receives have own new current exact exactly "
    "please again mean means meaning called name happen happens used use using make makes made must may can should "
    "work "
    "works amount kind type total maximum minimum max min most least latest number detail details say explain describe "
    "information exactly actually currently still ever year years take takes taken become charge given give gives "
    "grant grants grants offer offers provide provides entitled entitle include includes contain contains cover covers "
    "want does doing done put cost costs price pay paid fee size situation anything something everything thing things "
    "value go goes put kept keep keeps stay stand stands itself say says mentioned rule rules ab "
    "erlaubt darf dürfen möglich bekommt bekommen erhält erhalten neu neue aktuell genau bedeutet heißt heißen gilt "
    "gelten lautet beträgt kostet kosten preis gibt muss müssen jahr jahre machen macht zahlen zahlt halten gehalten "
    "permis autorisé possible reçoit nouveau nouvelle exact signifie appelle coûte coûtent prix coût payer faut doit "
    "avoir fait "
    "permitido posible recibe nuevo nueva significa llama cuesta cuestan precio pagar hay tiene "
    "permesso possibile riceve nuovo nuova significa chiama costa costano prezzo pagare deve "
    "permitido possível recebe novo nova significa chama custa custam preço pagar deve"
)
"""Words that a sentence may lack and still answer: how it is asked, not what about."""
_CODE = re.compile(r"(?<![\w])(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?![\w])")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|er|e|º|ª|km|kg|cm|mm|m|g|l|h|min|pm|am|x)", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\w.,/-])(?:19|20)\d\d(?![\w/-]|[.,]\d)")
_MONTHS = (
    "january february march april may june july august september october november december "
    "januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre "
    "novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre janeiro fevereiro março maio junho julho "
    "setembro outubro novembro dezembro"
)
_MONTH = "|".join(_MONTHS.split())
_DAY = LazyPattern(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?({_MONTH})\b|\b({_MONTH})\s+(\d{{1,2}})(?!\d)"
)
_NAME = re.compile(r"(?<![\w'’.-])([A-ZÀ-Þ][\w'’-]*[\w])")
_COUNTED = LazyPattern(
    r"\b(?:how many|wie ?viele|combien d(?:e |['’])|cu[aá]nt[oa]s|quant[ei]|quant[oa]s)\s*((?:[^\W\d_]+[ -]){0,"
    r"2}?[^\W\d_]+)(?=\s+"
    r"(?:do|does|did|can|may|must|should|are|is|will|has|have|were|was|per|a|an|in|the|i|you|we|darf|dürfen|kann|"
    r"können|hat|"
    r"haben|gibt|sind|bekommt|bekommen|habe|peut|puis|faut|a|ont|est|sont|y|puede|pueden|hay|tiene|son|può|possono|ha|"
    r"hanno|"
    r"ci|sono|pode|podem|há|tem|são)\b|-t-|-on\b|\W*$)"
)
_PAPER = LazyPattern(
    r"\b([^\W\d_]{4,})[ -](?:contract|agreement|lease|policy|handbook|manual|report|guide|notes|list|regulations|"
    r"terms)\b"
)
_NOT_A_PAPER = _listed("this that your their employee user which what uploaded these those attached same")
_SMALL = _listed("i'm i'd i've mr mrs ms dr ok")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing asked for. Words that only name the kind ("phone number") are answered by its form."""

    name: str
    asked: LazyPattern
    form: LazyPattern
    named_by: frozenset[str] = frozenset()
    needed: bool = False
    """Whether nothing without the form can be the answer."""


_AMOUNT_WORD = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|once|twice|noon|midnight|"
    r"zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf|einmal|deux|trois|quatre|cinq|sept|huit|neuf|dix|dos|tres|"
    r"cuatro|"
    r"cinco|seis|siete|ocho|due|tre|quattro|cinque|sei|sette|otto|dois|duas|três|quatro|sete|oito|weekly|daily|"
    r"monthly|never"
)
_MONEY_FORM = LazyPattern(
    r"[€$£]\s?\d|\d\s?(?:€|\$|£)|\d\s?(?:euros?|eur|dollars?|usd|pounds?|francs?|chf|cents?|reais|pesos?)\b|"
    r"\bprice\w*: ?\d|"
    r"\b(?:free|gratis|kostenlos|gratuite?|gratuit[ao]|grátis)\b"
)
_DATE_FORM = LazyPattern(
    rf"\b(?:{_MONTH})\b|\b\d{{1,2}}[:.]\d{{2}}\b|\b\d{{4}}-\d{{2}}|\d\s?(?:a\.?m|p\.?m|uhr|h)\b|\b(?:19|20)\d\d\b|"
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:mon|diens|donners|frei|sams|sonn)tags?\b|mittwochs?|"
    r"\b(?:lun|mar|mercre|jeu|vendre|same)di\b|dimanche|\b(?:first|second|third|fourth|fifth|last|next|every|within|"
    r"after|before|until)\b"
)


def _kind(name: str, asked: str, form: str | LazyPattern, named_by: str = "", *, needed: bool = False) -> Kind:
    return Kind(
        name,
        LazyPattern(asked),
        form if isinstance(form, LazyPattern) else LazyPattern(form),
        _stemmed(named_by),
        needed,
    )


KINDS = (
    _kind(
        "person",
        r"^\W*(?:(?:and|und|et|y|e)\s+)?(?:who(?:se|m)?|by whom|wer|wem|wen|wessen|qui|quién(?:es)?|chi|quem)\b",
        r"(?-i:\b(?!(?:The|A|An|Our|This|Each|Every|All|No|Any|In|On|At|For|If|When|Der|Die|Das|Ein|Eine|Le|La|Les|Un|"
        r"Une|El|Los|"
        r"Las|Il|Lo|Gli|O|Os|As)\b)[A-ZÀ-Þ][a-zà-ÿ'’-]+ (?!(?:Street|Road|Lane|Avenue|Square|Department|Ltd|Inc|"
        r"GmbH)\b)[A-ZÀ-Þ][\w'’-]+|"
        r"\b(?:by|von|par|por|da) [A-ZÀ-Þ]\w+)",
    ),
    _kind(
        "phone",
        r"\b(?:(?:tele)?phone numbers?|number (?:of|for|to call)|telefon(?:nummer)?|(?:numéro de )?téléphone|teléfono|"
        r"telefono|telefone|"
        r"extension)\b",
        r"(?<![\d.,])\+?\(?\d[\d ()/-]{5,}\d(?![\d.,]\d)|\bextension \d",
        "phone telephone number call contact telefon nummer telefonnummer téléphone numéro teléfono número telefono "
        "numero "
        "telefone extension reach",
        needed=True,
    ),
    _kind(
        "mail",
        r"\be-?mail\b|\bcorreo\b|\bcourriel\b",
        r"[\w.+-]+@[\w-]+\.\w",
        "mail email e-mail address adresse indirizzo dirección endereço correo courriel",
        needed=True,
    ),
    _kind(
        "weight",
        r"\b(?:how heavy|how much does .{1,60}? weigh|weight|wie schwer|gewicht|combien pèse\w*|poids|cuánto pesa\w*|"
        r"quanto pesa\w*|peso)\b",
        r"\d\s?(?:kg|g|mg|t|kilos?|grams?|gramm\w*|kilograms?|tons?|tonnes?|lbs?|pounds|oz|ounces)\b|weight",
        "heavy weight weigh schwer gewicht poids pèse pesa peso",
        needed=True,
    ),
    _kind(
        "money",
        r"\b(?:how much (?!(?:water|time))|cost\w*|price|fee|salary|was kost\w*|wie ?viel kost\w*|wie hoch|preis|"
        r"combien coût\w*|prix|cuánto (?:cuesta|es)|"
        r"precio|quanto cust[ao]\w*|quanto cost[ao]\w*|prezzo|preço)\b",
        _MONEY_FORM,
        "cost costs price fee pay paid much charge kostet kosten preis coûte coûtent coût prix cuesta precio costa "
        "costano "
        "prezzo preço custa",
    ),
    _kind(
        "date",
        r"\b(?:when|what (?:time|date|day|year)|which (?:date|day|year)|date|until when|by when|since when|wann|"
        r"uhrzeit|datum|quand|"
        r"quelle? (?:heure|date)|horaires?|cuándo|fecha|quando|orari[oa]?|opening (?:hours|times)|öffnungszeiten)\b",
        _DATE_FORM,
        "date day time when datum tag uhrzeit zeit heure jour fecha hora día ora giorno dia hours horaire orari orario",
    ),
    _kind(
        "size",
        r"\b(?:how (?:big|large|wide|tall|deep|thick)|what size|wie (?:groß|breit|tief)|quelle (?:est la )?(?:taille|"
        r"surface)|"
        r"qu[ée] tamaño|quanto è grande|qual é o tamanho)\b",
        r"\d\s?(?:square|sq|m²|qm|quadratmeter|m2|km²|ha\b|hectares?|acres?|lit(?:re|er)s?|l\b|ml|cm|mm|m\b|met(?:re|"
        r"er)s?|km|inch|feet|"
        r"ft|[kmgt]b\b|rooms|people|employees|members|pages|grams?|kg|mètres|litros|metros|metri|litri|%|percent)",
        "size big large wide tall deep area groß taille tamaño grande",
    ),
    _kind(
        "amount",
        r"\b(?:how (?:many|much|long|old|far|often|big|high|heavy|large|late|tall|wide)|what (?:percentage|size|"
        r"amount)|wie ?viele?|"
        r"wie (?:lange?|oft|hoch|groß|schwer|alt|weit)|combien|cuánt[oa]s?|quant[oaie]|quantos|quantas)\b",
        rf"\d|\b(?:{_AMOUNT_WORD})\b",
        "size big large high long area",
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, read. `words` are the stems it is about, in order; `light` those of them that may be missing."""

    text: str
    language: str
    words: tuple[str, ...]
    light: frozenset[str]
    codes: tuple[str, ...] = ()
    """Words with letters and digits, in lower case: `a200`, `kes-412`."""
    names: tuple[str, ...] = ()
    """Stems of words that are written like names."""
    years: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    """Days of the year as `9 april`."""
    counted: str | None = None
    """Stem of the noun after "how many"."""
    paper: str | None = None
    """Stem of what kind of paper the answer should stand in: `rental` of "the rental contract"."""
    kind: Kind | None = None
    forms: Mapping[str, str] = field(default_factory=dict)
    """The word as it is written, by its stem."""

    @property
    def subject(self) -> bool:
        """Whether it asks something of what its codes name, in words of its own."""
        return any(word not in self.light and word not in self.codes for word in self.words)


def read_question(text: str) -> Asked:
    """The question as it is compared with sentences."""
    language = detect_language(text)
    every = stems(text)
    paper = next((found[1].lower() for found in _PAPER.finditer(text) if found[1].lower() not in _NOT_A_PAPER), None)
    where = CONTAINERS | ({stem(paper)} if paper else set())
    about = tuple(word for word in every if word not in where) or tuple(every)
    kind = next((each for each in KINDS if each.asked.search(text)), None)
    codes = tuple(dict.fromkeys(each.lower() for each in _CODE.findall(text) if not _ORDINAL.fullmatch(each)))
    counted = _COUNTED.search(text)
    return Asked(
        text,
        language,
        about,
        _LIGHT | (kind.named_by if kind is not None else frozenset()),
        codes,
        _names(text, language, codes),
        tuple(dict.fromkeys(_YEAR.findall(text))),
        days_of(text),
        stem(counted[1].lower().split()[-1]) if counted else None,
        stem(paper) if paper else None,
        kind,
        {stem(word): word for word in content_words(text)},
    )


def codes_in(text: str) -> frozenset[str]:
    """Words of letters and digits in a text, in lower case, ordinals and plain measures left out."""
    return frozenset(each.lower() for each in _CODE.findall(text) if not _ORDINAL.fullmatch(each))


def shape_of(code: str) -> str:
    """What codes of one series have in common: `a#` of a100 and a200."""
    return re.sub(r"\d+", "#", code)


def days_of(text: str) -> tuple[str, ...]:
    """The days of the year in a text, `9 april` for "9 April 2024" and "April 9"."""
    found = ((each[1] or each[4], each[2] or each[3]) for each in _DAY.finditer(text))
    return tuple(dict.fromkeys(f"{int(day)} {month.lower()}" for day, month in found))


def _names(text: str, language: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Stems of capitalised words that begin no sentence; in German, where nouns are, only of words all in capitals."""
    out: list[str] = []
    for found in _NAME.finditer(text):
        word = found[1].removesuffix("'s").removesuffix("’s")
        before = text[: found.start()].rstrip(" \"'“„«(")
        begins = not before or before[-1] in ".!?:\n¿¡"
        shouted = len(word) > 1 and word.isupper()
        if (
            word.lower() in _SMALL
            or word.lower() in FUNCTION_WORDS["en"]
            or word.lower() in codes
            or (not shouted and (begins or language == "de"))
        ):
            continue
        # A single letter ("HB-K") is not among the words of a sentence.
        out += [stem(each) for each in words(word) if len(each) > 1]
    return tuple(dict.fromkeys(out))
