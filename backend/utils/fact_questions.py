"""Telling questions for a fact that somebody's own papers may hold from general ones. Pure functions, no model."""

from __future__ import annotations

import re

from backend.utils.patterns import LazyPattern
from backend.utils.query_text import is_question

_TELL = LazyPattern(
    r"^\W*(?:please |can you |could you )?(?:tell me (?:more |something |everything )?about|"
    r"(?:erzähle?|sage?) mir (?:etwas |mehr |alles )?über|parle[- ]moi d[eu]|(?:háblame|cuéntame) (?:de|sobre)|"
    r"(?:parlami|dimmi) (?:di|del|della)|fale(?:-me)? (?:de|sobre))\b"
)
_OWN = LazyPattern(
    r"\b(?:we|our|ours|us|my|wir|uns(?:er\w*)?|mein\w*|nous|notre|nos|mon|nuestr[oa]s?|nosotros|mi|"
    r"nostr[oaie]|noi|mio|mia|nosso|nossa|meu|minha)\b"
)
_GENERAL = LazyPattern(
    r"^\W*(?:why (?!(?:was|were|did) (?:the|this|that|these)\b)|warum (?!(?:wurden?|hat|haben) (?:der|die|das)\b)|"
    r"wieso|"
    r"pourquoi|por qu[eéê]|perch[eé])\b",
    r"\b(?:capital (?:city )?(?:of|d[aeo])|capitale d|definition of|advantages of|"
    r"vorteile von|past tense|veut dire|"
    r"hauptstadt|difference between|unterschied zwischen|"
    r"diff[eé]rence entre|diferencia entre|differenza tra|diferença entre|meaning of|pros and cons|"
    r"the (?:theory|rules|history|concept|word) of?|"
    r"what does (?!.{0,40}\b(?:the|our|my|this|[a-z]+\d+)\b).{1,40} mean|"
    r"bedeutet|signifie|significa|theorie|théorie|teor[ií]a)\b",
    r"^\W*(?:what|who)(?:'s| is| are) (?!the\b|that\b|this\b)(?:an? )?(?:[a-z-]+ ?){1,3}\W*$",
    r"^\W*was (?:ist|sind) (?:eine? )?(?:\w+e )?\w+\W*$|^\W*wie \w+e (?:ich|man)\b|"
    r"^\W*(?:qu['’]est-ce que?|qué es|che cos['’]è|o que é)\b",
    r"^\W*how (?:do|can|could|should|would|to)\b",
    r"^\W*how (?:does|is|are) (?:an? )?(?:\w+ ){1,4}(?:work|made|used)\b",
    r"^\W*wie (?:koche|lerne|kann|macht|funktioniert|mache)\b|^\W*comment\b|^\W*c[oó]mo (?:se|puedo|hacer)\b|"
    r"^\W*come (?:si|posso|faccio)\b|^\W*como (?:se|posso|fazer)\b",
    r"\b(?:should i|do you|would you|your opinion|recommend|best way|good (?:name|book|idea)|i feel)\b",
    r"\b(?:world cup|president|prime minister|planet|earth|moon|sun|universe|world war|speed of light)\b",
)
_FACT_ASKED = LazyPattern(
    r"^\W*(?:when|where|who(?:se|m)?|which|how (?:many|much|long|old|often|far|big|large|high|heavy|late|early)|"
    r"wann|wo|wer|wem|wen|wessen|welche[rsmn]?|wie ?viele?|wie (?:lange?|hoch|oft|alt|groß|schwer|weit|spät)|"
    r"quand|où|qui|combien|cuándo|dónde|quién(?:es)?|cuánt[oa]s?|quando|dove|chi|quant[oaie]|onde|quem|quant[oa]s)\b"
)
_DEFINITE = LazyPattern(
    r"\b(?:the|this|that|these|those|der|die|das|dem|den|des|dieser?|le|la|les|l['’]\w+|cette?|el|los|las|"
    r"il|lo|gli|esta?|questo|questa|o|os|as)\s+[^\W\d_]{2,}"
)
MAX_CHARS = 2000
"""Longer texts are no question; what follows is not looked at."""
_NAME = re.compile(r"(?<=[^\W_.?!] )[A-ZÀ-Þ][\w'’-]+")


def tells_about(text: str) -> bool:
    """Whether the text asks to be told about something: "Tell me about Olga Hartmann"."""
    return bool(_TELL.match(text))


def asks_for_a_fact(text: str) -> bool:
    """Whether a question is about something particular ("our motto", "the founder", a name) or asks who, when, where,
    how many; False for what any encyclopedia, cookbook or adviser answers."""
    bare = text[:MAX_CHARS].strip()
    if not (is_question(bare) or tells_about(bare)):
        return False
    if _OWN.search(bare):
        return True
    if _GENERAL.search(bare):
        return False
    return bool(_FACT_ASKED.match(bare) or _DEFINITE.search(bare) or _NAME.search(bare))
