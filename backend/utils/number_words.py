"""Numbers spelt out, as digits: six languages, compounds and glued words included. Pure functions."""

from __future__ import annotations

import re
from functools import lru_cache

from backend.utils.language import detect_language

MAX_WORDS = 12
"""Words of one number at most."""


def _values(text: str, extra: dict[str, int] | None = None) -> dict[str, int]:
    """Words in the order of their values 2 to 20, then 30 to 90 by tens; `-` is a word the language glues or lacks."""
    scale = [*range(2, 21), *range(30, 100, 10)]
    made = {word: value for value, words in zip(scale, text.split(), strict=True) for word in words.split("/")}
    made.pop("-", None)
    return made | (extra or {})


_EN = _values(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety",
    {"hundred": 100, "thousand": 1000, "million": 10**6, "one": 1, "zero": 0},
)
_DE = _values(
    "zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn "
    "neunzehn zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig neunzig",
    {"hundert": 100, "tausend": 1000, "million": 10**6, "millionen": 10**6, "ein": 1, "eins": 1, "null": 0},
)
_FR = _values(
    "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf "
    "vingt trente quarante cinquante soixante septante quatre-vingt/quatre-vingts/huitante nonante",
    {"cent": 100, "cents": 100, "mille": 1000, "million": 10**6, "millions": 10**6, "un": 1, "une": 1, "zéro": 0},
)
_ES = _values(
    "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho "
    "diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    {
        "veintiuno": 21, "veintidós": 22, "veintitrés": 23, "veinticuatro": 24, "veinticinco": 25, "veintiséis": 26,
        "veintisiete": 27, "veintiocho": 28, "veintinueve": 29, "cien": 100, "ciento": 100, "doscientos": 200,
        "trescientos": 300, "cuatrocientos": 400, "quinientos": 500, "seiscientos": 600, "setecientos": 700,
        "ochocientos": 800, "novecientos": 900, "mil": 1000, "millón": 10**6, "millones": 10**6, "uno": 1, "cero": 0,
    },
)  # fmt: skip
_IT = _values(
    "due tre/tré quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette "
    "diciotto diciannove venti/vent trenta/trent quaranta/quarant cinquanta/cinquant sessanta/sessant "
    "settanta/settant ottanta/ottant novanta/novant",
    {"cento": 100, "mille": 1000, "mila": 1000, "milione": 10**6, "milioni": 10**6, "uno": 1, "zero": 0},
)
_PT = _values(
    "dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze quinze dezesseis/dezasseis "
    "dezessete/dezassete dezoito dezenove/dezanove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    {
        "cem": 100, "cento": 100, "duzentos": 200, "trezentos": 300, "quatrocentos": 400, "quinhentos": 500,
        "seiscentos": 600, "setecentos": 700, "oitocentos": 800, "novecentos": 900, "mil": 1000, "milhão": 10**6,
        "milhões": 10**6, "um": 1, "zero": 0,
    },
)  # fmt: skip
_WORDS = {"en": _EN, "de": _DE, "fr": _FR, "es": _ES, "it": _IT, "pt": _PT}
_AND = {"en": "and", "de": "und", "fr": "et", "es": "y", "it": "e", "pt": "e"}
_GLUED = ("de", "it")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def with_digits(text: str, language: str | None = None) -> str:
    """The text with its number words from two on as digits ("seven hundred and fifty" as "750").

    A lone "one" is left, as it is seldom a number. `language` as a two-letter code; guessed when None.
    """
    code = language or detect_language(text)
    if code not in _WORDS:
        return text
    known, joint = _WORDS[code], _AND[code]
    found = [(each.start(), each.end(), each.group().lower()) for each in _WORD.finditer(text)]
    out: list[str] = []
    at = 0
    index = 0
    while index < len(found):
        parts, used = _number_at(text, found, index, known, joint, glued=code in _GLUED)
        if not parts or parts == [1]:
            index += 1
            continue
        out += [text[at : found[index][0]], str(_value(parts))]
        at = found[index + used - 1][1]
        index += used
    return "".join([*out, text[at:]])


def _number_at(
    text: str, found: list[tuple[int, int, str]], index: int, known: dict[str, int], joint: str, *, glued: bool
) -> tuple[list[int], int]:
    """The values of the longest number that begins at a word, and how many words it takes."""
    parts: list[int] = []
    used = taken = 0
    while index + taken < len(found) and taken < MAX_WORDS:
        start, _, word = found[index + taken]
        if taken and text[found[index + taken - 1][1] : start].strip(" -"):
            break
        if parts and word == joint and _may_join(parts, joint):
            taken += 1
            continue
        values = _values_of(word, known, joint, glued=glued)
        if not values or not _continues(parts, values, joined=taken > used):
            break
        parts += values
        taken += 1
        used = taken
    return parts, used


def _may_join(parts: list[int], joint: str) -> bool:
    """Whether a number may go on after "and": in English and German only after hundreds and thousands."""
    return parts[-1] >= 100 or (joint not in ("and", "und") and parts[-1] >= 20)


def _continues(parts: list[int], values: list[int], *, joined: bool) -> bool:
    if not parts:
        return values[0] < 10**6
    last, first = parts[-1], values[0]
    if first >= 1000 or first == 100:
        return last < first and last != 0
    if last >= 100:
        return first < last
    return 20 <= last < 100 and 0 < first < 20 and last % 10 == 0


@lru_cache(maxsize=512)
def _segments(word: str, code: str) -> tuple[int, ...]:
    known, joint = _WORDS[code], _AND[code]
    out: list[int] = []
    at = 0
    while at < len(word):
        piece = next((p for p in sorted(known, key=len, reverse=True) if word.startswith(p, at)), None)
        if piece is None:
            if code == "de" and out and word.startswith(joint, at):
                at += len(joint)
                continue
            return ()
        out.append(known[piece])
        at += len(piece)
    return tuple(out)


def _values_of(word: str, known: dict[str, int], joint: str, *, glued: bool) -> list[int]:
    if word in known:
        return [known[word]]
    if "-" in word:
        pieces: list[int] = []
        for piece in _hyphen_pieces(word, known):
            if piece != joint and piece not in known:
                return []
            pieces += [known[piece]] if piece in known else []
        return pieces
    if glued and 4 < len(word) <= 60:
        return list(_segments(word, "de" if joint == "und" else "it"))
    return []


def _hyphen_pieces(word: str, known: dict[str, int]) -> list[str]:
    """The parts of "quatre-vingt-dix-sept", the longest known ones whole."""
    pieces = word.split("-")
    out: list[str] = []
    while pieces:
        for length in (2, 1):
            joined = "-".join(pieces[:length])
            if length == 1 or joined in known:
                out.append(joined)
                pieces = pieces[length:]
                break
    return out


def _value(parts: list[int]) -> int:
    total = current = 0
    for part in parts:
        if part >= 1000:
            total, current = total + max(current, 1) * part, 0
        elif part == 100:
            current = (current // 100 * 100) + max(current % 100, 1) * 100 if current else 100
        else:
            current += part
    return total + current
