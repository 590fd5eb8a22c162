"""Telling without a model whether a query is about the user's documents. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.utils.fact_questions import asks_for_a_fact, tells_about
from backend.utils.query_text import is_question

MAX_CHARS = 2000
"""What is looked at of a query; longer ones are pasted text."""

_PAPERS_EN = (
    r"(?:documents?|docs?|files?|pdfs?|uploads?|attachments?|handbooks?|manuals?|contracts?|reports?|polic(?:y|ies)|"
    r"notes|guidelines?|guides?|papers?|spreadsheets?|slides|invoices?|lease|agreements?|transcripts?)"
)
_PAPERS_DE = (
    r"(?:\w*dokument\w*|datei\w*|unterlagen?|\w*hand[bB]uch\w*|\w*vertr[aä]g\w*|\w*bericht\w*|\w*richtlinien?|notizen|"
    r"pdfs?|anhang|anhänge\w*|anleitung\w*|rechnung\w*|protokoll\w*)"
)
_PAPERS_FR = (
    r"(?:documents?|fichiers?|manuels?|contrats?|rapports?|pdfs?|notes|guides?|règlement|pièces? jointes?|"
    r"factures?|bail)"
)
_PAPERS_ES = (
    r"(?:documentos?|archivos?|ficheros?|manual(?:es)?|contratos?|informes?|pdfs?|notas|guías?|adjuntos?|"
    r"facturas?|reglamento)"
)
_PAPERS_IT = (
    r"(?:document[oi]|file|manual[ei]|contratt[oi]|rapport[oi]|relazion[ei]|pdf|appunti|guid[ae]|allegat[oi]|"
    r"fattur[ae]|"
    r"regolamento)"
)
_NOT_OURS = r"(?!(?:weather|news|traffic|stock|bug|error|wetter|météo|tiempo|meteo)\b)"
_BETWEEN = rf"(?:{_NOT_OURS}[\w'’-]+\s+)?"

_CUE = re.compile(
    "|".join(
        (
            rf"\b(?:my|our|the|this|these|those|uploaded|attached)\s+{_BETWEEN}{_PAPERS_EN}\b",
            r"\b(?:in|from|of|inside) (?:pdf|docx?|documents?|handbook|uploads?|attachments?)\b",
            r"\baccording to (?:my|our|this|these)\b|\b(?:i|we)(?:['’]ve| have)?(?: just)? uploaded\b",
            rf"\b(?:mein|unser|dies|hochgeladen|beigefügt)\w*\s+{_BETWEEN}{_PAPERS_DE}\b",
            rf"\b(?:im|vom|zum|laut|gemäß|de[rmns]|das|die)\s+{_BETWEEN}{_PAPERS_DE}\b",
            rf"\b(?:mon|ma|mes|notre|nos|les?|la|ces?|cet|cette|du|des|selon|d['’]après)\s+{_BETWEEN}{_PAPERS_FR}\b",
            rf"\b(?:mis?|nuestr[oa]s?|el|la|l[oa]s|est[aeo]s?|del|según)\s+{_BETWEEN}{_PAPERS_ES}\b",
            rf"\b(?:mi[oae]|miei|nostr[oaie]|il|lo|la|i|gli|le|ne[il]|nell[ao]|da[li]|de[li]|quest[oaie]|secondo)\s+"
            rf"{_BETWEEN}{_PAPERS_IT}\b",
        )
    ),
    re.IGNORECASE,
)
_KINDS = (
    r"(?:documents?|docs|files?|pdfs?|uploads?|dokumente?|dateien|unterlagen|fichiers?|documentos?|archivos?|"
    r"documenti|file)"
)
_NAMES = re.compile(
    rf"^\W*(?:(?:please|bitte)\W+)?(?:"
    rf"(?:which|what|how many) (?:\w+ )?{_KINDS} (?:do (?:i|we|you) have|(?:have|did) (?:i|we) upload\w*|are (?:there|"
    rf"uploaded|available|stored)|can you see|do you (?:know|see))(?: here| access to| uploaded| so far)*"
    rf"|(?:list|show(?: me)?|name|what are)(?: all)?(?: of)? (?:(?:my|our|the|uploaded) )+{_KINDS}"
    rf"|(?:welche|wie viele) {_KINDS} (?:habe ich|haben wir|gibt es|sind)(?: \w+)?"
    rf"|(?:liste|zeige?|nenne)(?: mir)? (?:alle )?(?:meine|unsere|die) {_KINDS}(?: auf)?"
    rf"|(?:quels|combien de) {_KINDS} (?:ai-je|avons-nous|y a-t-il)(?: \w+)?"
    rf"|(?:liste|montre)[\w-]* (?:mes|nos|les) {_KINDS}"
    rf"|(?:qué|cuántos) {_KINDS} (?:tengo|hay|he subido)|(?:lista|muestra|muéstrame) (?:mis|los) {_KINDS}"
    rf"|(?:quali|quanti) {_KINDS} (?:ho|ci sono)(?: \w+)?|(?:elenca|mostra\w*) i miei {_KINDS}"
    rf")\W*$",
    re.IGNORECASE,
)
MAX_NAMES_CHARS = 120
_MATH = re.compile(
    r"\d\s*[-+*/×÷^=<>]\s*[\d(a-z]|[=√∫∑]|\d\s*%\s*(?:of|von|de|di)\b|"
    r"\b(?:plus|minus|times|divided by|squared?|cubed?|root of|sqrt|sin|cos|log|integral|derivative|factorial|solve|"
    r"multipli\w+|wurzel|ableitung|quadrat|racine|dérivée|raíz|derivada|radice|derivata)\b",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"^\W*(?:(?:hi|hello|hey|hallo|bonjour|hola|ciao)\b\W*)?(?:how are (?:you|things)|how do you do|"
    r"who (?:are|made) you|"
    r"what(?:'s| is) (?:up|your name)|what are you|what can you do|are you (?:an? )?(?:ai|bot|human|real|there)|"
    r"wie geht|wer bist|was (?:bist|kannst) du|wie hei(?:ß|ss)t du|ça va|comment (?:ça va|vas|allez|tu t)|qui "
    r"es(?:-tu)?\b|qui êtes|"
    r"que peux|qué tal|cómo (?:estás|te llamas)|quién eres|qué puedes|come (?:stai|va|ti chiami)|chi sei|cosa puoi)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_TELLING = re.compile(r"[^\W\d_]{3,}")
_GENERIC = frozenset(
    """a the and document documents doc file files report notes note data test text paper article list table scan copy
    final draft version untitled new readme index letter contract manual policy invoice export output page pages
    dokument datei bericht notizen vertrag rechnung anhang fichier rapport contrat notes archivo informe contrato
    documento relazione contratto appunti pdf docx txt csv json html""".split()  # noqa: SIM905
)
_DETERMINER = (
    r"(?:my|our|the|this|that|in|from|mein\w*|unser\w*|de[rmns]|das|die|im|vom|mon|ma|mes|les?|la|du|mis?|el|l[oa]s|"
    r"del|mi[oae]|il|lo|nel|nella|dal)"
)


def mentions_documents(query: str) -> bool:
    """Whether the query speaks of documents of the user's own (en, de, fr, es, it)."""
    return _CUE.search(query[:MAX_CHARS]) is not None


def may_be_answered_by_documents(query: str) -> bool:
    """Whether the query is a question that is neither arithmetic nor small talk."""
    head = query[:MAX_CHARS].strip()
    asks = is_question(head) or tells_about(head)
    return asks and _MATH.search(head) is None and _SMALL_TALK.match(head) is None


def asks_for_a_fact_of_documents(query: str) -> bool:
    """Whether the query asks for something particular, as people's own papers hold it, rather than general."""
    return may_be_answered_by_documents(query) and asks_for_a_fact(query[:MAX_CHARS])


def asks_for_names(query: str) -> bool:
    """Whether the query wants to know which documents there are (en, de, fr, es, it), not what they say."""
    return len(query) <= MAX_NAMES_CHARS and _NAMES.match(query) is not None


def named_documents(query: str, names: Sequence[str]) -> tuple[str, ...]:
    """The file names that the query names: in full, or by all telling words of the part before the extension.

    A name of one everyday word ("notes.txt") counts only after a determiner: "in my notes", "the notes".
    """
    head = query[:MAX_CHARS].casefold()
    said = set(_WORD.findall(head))
    return tuple(dict.fromkeys(name for name in names if _is_named(name.casefold(), head, said)))


def _is_named(name: str, head: str, said: set[str]) -> bool:
    stem = name.rsplit(".", 1)[0]
    if "." in name and any(map(str.isalnum, stem)) and name in head:
        return True
    words = set(_TELLING.findall(stem.replace("_", " ")))
    if not words or not words <= said:
        return False
    telling = {word for word in words if word not in _GENERIC and word.removesuffix("s") not in _GENERIC}
    if telling:
        return len(words) > 1 or len(min(telling)) >= 4
    return all(re.search(rf"\b{_DETERMINER}\s+{re.escape(word)}\b", head) for word in words)
