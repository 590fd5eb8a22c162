"""Which language a document is in, told by its script and commonest words, and the words left out of an index in it."""

from __future__ import annotations

import math
import re
from collections import Counter

from backend.utils.language import FUNCTION_WORDS

DEFAULT = "en"
STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "fa": "persian", "fi": "finnish", "fr": "french", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
"""Language -> Snowball's algorithm for it."""

_ENGLISH = """a about am an and any are as at be been being but by can could did do does doing for from had has have
    having he her hers him his how i if in into is it its me my no nor not of on or our ours she should so some such
    than that the their theirs them then there these they this those to us was we were what when where which who whom
    whose why will with would you your yours"""
_COMMON = {
    "ca": "amb és dels el els i la les que per una un al del són han més com aquest aquesta també però seva",
    "cs": "a v na je se že s z do o ve pro jsou by to jako který která které podle nebo při byl byla aby není",
    "da": "og i at det er en til af på for med den der som ikke de et har fra kan skal ved være blev eller også jeg",
    "et": "ja on ei see et ka kui oli mis ning või oma mida kes aga nii siis välja selle saab tema",
    "fi": "ja on ei että se oli hän joka mutta myös ovat kun sen ole tai mitä olla ovat jos sekä niin tämä",
    "hu": "a az és hogy nem is egy van volt ez meg csak el már de ha vagy mint lehet kell minden után azt",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga ke karena ada oleh atau adalah sebagai",
    "lt": "ir yra kad su į iš kaip tai buvo ar bet jo jos už apie per jau nuo prie bus arba taip",
    "no": "og i det er en til av på for med den som ikke de et har fra kan skal ved være ble eller også jeg etter",
    "pl": "w i na z do się nie jest o że za od po przez dla oraz lub ma są jak to co tym jego być może który która",
    "ro": "și în de la a cu pe pentru este nu din care o un mai sau ca prin sunt să fi al ale lor după acest",
    "sv": "och i att det är en till av på för med den som inte de ett har från kan ska vid vara eller också jag om",
    "tr": "ve bir bu da de için ile olarak çok daha olan gibi ne kadar sonra ancak her değil veya en mi var",
}
_SCRIPTS = {
    "ru": "и в не на что с по как это к из у за от для он она они был была или но а о же бы мы вы его её их при",
    "sr": "и је у да се на са за од су не као који која што или али бити би из до по",
    "el": "και το η ο να του την της τα στο με που για των δεν από είναι θα σε οι στην τους ένα μια",
    "ar": "في من على إلى أن عن مع هذا هذه التي الذي كان لا ما أو و ثم قد لم هو هي كل بين",
    "fa": "و در به از که این را با است برای آن یک تا می شود های هم یا بر",
    "hi": "के है में की को का और से यह पर हैं एक ने कि भी या नहीं था इस लिए तो ही",
    "ne": "र को मा छ का हो यो पनि एक ले भने गरेको छन् लाई गर्न",
}
STOP_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset(_ENGLISH.split()),
    **{
        code: frozenset(word for word in FUNCTION_WORDS[code] if len(word) <= 6)
        for code in ("de", "fr", "es", "it", "pt", "nl")
    },
    **{code: frozenset(words.split()) for code, words in {**_COMMON, **_SCRIPTS}.items()},
}
"""Words that say nothing about a document's subject, with the ones questions are made of."""

_PROFILES = {code: words for code, words in STOP_WORDS.items() if code not in _SCRIPTS}
_EVIDENT = 1.25
"""So many times as many points as English has must speak for another language."""
_LATIN = re.compile(r"[^\W\d_]+")
_OTHER = {
    "cyrillic": re.compile(r"[\u0400-\u052f]"),
    "el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "devanagari": re.compile(r"[\u0900-\u097f]"),
    "ta": re.compile(r"[\u0b80-\u0bff]"),
    "hy": re.compile(r"[\u0530-\u058f]"),
    "none": re.compile(
        r"[\u0590-\u05ff\u0e00-\u0fff\u1000-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    ),
}
_LETTERS = re.compile(r"[a-z\u00c0-\u024f]", re.IGNORECASE)


def language_of(text: str) -> str:
    """The likeliest language of a document by a piece of its text, as a code of STEMMERS.

    "none" for scripts that no stemmer is for; `en` where nothing speaks for another.
    """
    counts = {name: len(pattern.findall(text)) for name, pattern in _OTHER.items()}
    script = max(counts, key=lambda name: counts[name])
    if counts[script] > len(_LETTERS.findall(text)):
        return _of_script(script, text)
    said = Counter(_LATIN.findall(text.casefold()))
    points = {code: _points(said, words) for code, words in _PROFILES.items()}
    best = max(points, key=lambda code: points[code])
    return best if points[best] >= 2 and points[best] > _EVIDENT * points[DEFAULT] else DEFAULT


def _points(said: Counter[str], profile: frozenset[str]) -> float:
    """A word counts by the root of how often it stands there, up to 8, so that no single one decides."""
    return sum(math.sqrt(min(count, 8)) for word, count in said.items() if word in profile)


def _of_script(script: str, text: str) -> str:
    if script == "cyrillic":
        if re.search(r"[іїєґў]", text):  # Ukrainian and Belarusian
            return "none"
        return "sr" if re.search(r"[јљњћђџ]", text) else "ru"
    if script == "arabic":
        if re.search(r"[ٹڈڑےہ]", text):  # Urdu
            return "none"
        return "fa" if re.search(r"[پچژگ]", text) else "ar"
    if script == "devanagari":
        said = Counter(text.split())
        return "ne" if _points(said, STOP_WORDS["ne"]) > _points(said, STOP_WORDS["hi"]) else "hi"
    return script
