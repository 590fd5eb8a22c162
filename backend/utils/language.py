"""Guessing the language of a short text, and the words of it that carry meaning. Pure functions, no model."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "en": _listed(
        "a about after all also am an and any are as at be been before being between both but by can could did do does "
        "doing done during each ever few for from further get give had has have having he her here hers him his how i "
        "if in into is it its just kindly let like make many may me more most much must my need no nor not now of off "
        "on once only or other our out over own per please same say says shall she should show so some such tell than "
        "that the their them then there these they this those through to too under until up us use very want was we "
        "were what whats when where which while who whom whose why will with would you your yours"
    ),
    "de": _listed(
        "aber alle allem allen aller als also am an auch auf aus bei beim bin bis bist bitte da damit dann das dass "
        "dein deine dem den denn der des dich die dies diese diesem diesen dieser dieses dir du durch ein eine einem "
        "einen einer eines er es etwas euch für gib gibt haben hast hat habe hatte hier ich ihm ihn ihr ihre im in "
        "ins ist ja jede jeder jedes kann kannst kein keine können mal man mein meine meinem meinen meiner mich mir "
        "mit muss nach nicht noch nun nur ob oder ohne sag sage schon sehr sein seine sich sie sind so soll sollte "
        "steht über um und uns unser unsere unseren unter vom von vor wann war waren warum was weil welche welchem "
        "welchen welcher welches wenn wer werden wie wieviel wieviele viel viele wir wird wo wurde zeig zu zum zur "
        "zwischen wem wen wessen hallo guten tag morgen abend danke servus moin tschüss"
    ),
    "fr": _listed(
        "à ai aie as au aux avec avez avons ce ceci cela celle celui ces cet cette chez combien comme comment d dans "
        "de des dis dit donc donne du elle elles en entre es est et être eux fait il ils j je l la le les leur leurs "
        "lui ma mais me mes moi mon n ne nos notre nous on ont ou où par pas peut peux plus pour pourquoi puis qu "
        "quand "
        "que quel quelle quelles quels qui quoi sa sans se selon ses si son sont sous sur s t ta te tes toi ton tu un "
        "une va vos votre vous y c ça svp bonjour bonsoir salut merci"
    ),
    "es": _listed(
        "a al algo ante aquí como cómo con cual cuál cuales cuáles cuando cuándo cuanta cuánta cuantas cuántas cuanto "
        "cuánto cuantos cuántos da dame de del desde dime donde dónde dos e el él ella ellas ellos en entre era es esa "
        "ese eso esta está están estas este esto estos favor fue ha han hasta hay la las le les lo los me mi mis muy "
        "más ni no nos nuestro nuestra nuestros o para pero por porque puede puedes que qué quien quién se sea según "
        "ser si sí sin sobre son su sus también te tiene tienen tu tus un una unas uno unos y ya yo "
        "hola gracias buenos buenas días adiós"
    ),
    "it": _listed(
        "a ad ai al alla alle agli allo anche che chi ci come con cosa cui da dal dalla dai dammi de dei del della "
        "delle degli dello di dice dimmi dove e è ed era fa gli ha hai hanno ho i il in io la le lei lo loro lui ma mi "
        "mia miei mie mio ne nei nel nella nelle negli non nostro nostra o per perché più può quale quali quando "
        "quanta "
        "quante quanti quanto questa queste questi questo qual cos quella quello se sei si sono su sua sul sulla suo "
        "ti tra tu tuo tutti un una uno costa costano dell nell dall sull ciao grazie buongiorno buonasera"
    ),
    "pt": _listed(
        "a ao aos as às com como da das de dela dele diga do dos e é ela elas ele eles em entre era essa esse esta "
        "está "
        "estão este eu favor foi há isso isto já lhe mais mas me meu meus minha minhas muito na não nas no nos nossa "
        "nosso nossos num numa o onde os ou para pela pelo por porque pode posso qual quais quando quanta quantas "
        "quanto quantos custa custam que quem são se sem ser seu seus sobre sua são também te tem têm um uma "
        "você olá oi obrigado obrigada"
    ),
    "nl": _listed(
        "aan als bij dat de deze die dit dit een en er geen heb hebben heeft het hoe hoeveel ik in is je kan kun maar "
        "me met mij mijn naar niet of om onze ons op over te uit van veel voor waar waarom wanneer wat we welk welke "
        "wie wij worden zijn zou"
    ),
}
_ALL_FUNCTION_WORDS = frozenset().union(*FUNCTION_WORDS.values())
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*", re.UNICODE)
_SPECIAL_LETTERS = (("de", "ß"), ("es", "¿¡ñ"), ("pt", "ãõ"), ("fr", "œùû"), ("de", "äöü"))
MAX_SAMPLE = 2000
"""Characters looked at when guessing a language."""


def words(text: str) -> list[str]:
    """The words of a text in lower case, composed accents, numbers kept whole (`3.5`)."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


def detect_language(text: str) -> str:
    """The likeliest language of a short text as a two-letter code; `en` when nothing speaks for another.

    Counts function words of en, de, fr, es, it, pt and nl, weighted by how few languages share them.
    """
    sample = text[:MAX_SAMPLE]
    scores = dict.fromkeys(FUNCTION_WORDS, 0.0)
    for word in words(sample):
        if word not in _ALL_FUNCTION_WORDS:
            continue
        having = [language for language, listed in FUNCTION_WORDS.items() if word in listed]
        for language in having:
            scores[language] += 1 / len(having)
    lowered = sample.lower()
    for language, letters in _SPECIAL_LETTERS:
        if any(letter in lowered for letter in letters):
            scores[language] += 0.75
    best = max(scores, key=lambda language: scores[language])
    return best if scores[best] > scores["en"] and _is_evident(best, sample) else "en"


def _is_evident(language: str, sample: str) -> bool:
    """Whether a text is in a language for more than chance: `x y` and `sin(x)` are neither French nor Spanish.

    Two function words of more than one letter, its special letters, or one word that only it has, long or first.
    """
    said = words(sample)
    having = {word for word in said if len(word) > 1 and word in FUNCTION_WORDS[language]}
    if len(having) > 1 or any(
        letter in sample.lower() for code, letters in _SPECIAL_LETTERS if code == language for letter in letters
    ):
        return True
    own = [
        word
        for word in having
        if not any(word in FUNCTION_WORDS[other] for other in FUNCTION_WORDS.keys() - {language})
    ]
    if any(len(word) > 4 and word not in FUNCTION_WORDS["en"] for word in having):
        return True
    return any(len(word) > 3 or (word == said[0] and "(" not in sample and len(word) > 2) for word in own)


def content_words(text: str, language: str | None = None) -> list[str]:
    """The words that carry meaning, in order, each once: function words of the text's language left out.

    `language` as a two-letter code that FUNCTION_WORDS has; guessed when None.
    """
    ignored = _ignored(language or detect_language(text))
    kept = [
        word for word in words(text) if word not in ignored and (len(word) > 1 or not word.isascii() or word.isdigit())
    ]
    return list(dict.fromkeys(kept))


@lru_cache(maxsize=16)
def _ignored(language: str) -> frozenset[str]:
    return FUNCTION_WORDS[language] | FUNCTION_WORDS["en"]


_IRREGULAR = {
    form: verb
    for verb, forms in {
        "write": "wrote written writer", "build": "built", "buy": "bought", "pay": "paid", "sell": "sold",
        "make": "made", "give": "gave given", "take": "took taken", "begin": "began begun", "lead": "led",
        "send": "sent", "choose": "chose chosen", "grow": "grew grown", "know": "knew known", "speak": "spoke spoken",
        "schreiben": "schrieb geschrieben", "beginnen": "begann begonnen", "geben": "gab gegeben",
    }.items()
    for form in forms.split()
}  # fmt: skip


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A crude stem that joins inflected forms in the languages of western Europe: accents off, ending cut."""
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    plain = _IRREGULAR.get(plain, plain)
    if not plain.isalpha() or not plain.isascii() or len(plain) < 4:
        return plain
    for ending in ("ations", "ation", "ements", "ement", "ments", "ment", "ings", "ing", "ies", "ied", "ern", "ers"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 4:
            return plain[: -len(ending)][:7]
    for ending in ("es", "ed", "en", "er", "em", "as", "os", "ly", "s", "e", "n", "a", "o", "i", "y"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 3:
            return plain[: -len(ending)][:7]
    return plain[:7]


def stems(text: str, language: str | None = None) -> list[str]:
    """Stems of the content words, each once, in order; `language` as for `content_words`."""
    return list(dict.fromkeys(stem(word) for word in content_words(text, language)))
