"""Whether an answer rests on the passages its run has seen, and the sentence that says so when it does not."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.core.citations import Checked, code_spans
from backend.core.citations_quotes import Span, segments, without_markers
from backend.models.messages import ToolFinished
from backend.models.tools import Citation, Source, Support
from backend.utils.language import detect_language, stem, stems
from backend.utils.number_words import with_digits
from backend.utils.patterns import LazyPattern

READERS = frozenset({"rag_retrieval", "document_text"})
"""Tools that give passages of the user's documents."""
SHARED = 0.3
"""Share of a sentence's words from which it has something to do with the passages."""
DRAWN = 0.75
"""Share of an answer's words from which it says what a passage says, although it names none."""
MANY = 1 / 3
"""Share of the sentences that tell facts from which those without any support count."""
LEAST_WORDS = 3
MAX_READ_CHARS = 400_000
"""Of the passages whose words are compared; of longer ones only the numbers are."""
MAX_ANSWER_CHARS = 20_000
"""Of an answer without a citation that are compared with the passages."""
MAX_NAMED = 3

_NUMBER = re.compile(r"\d(?:[\d.,'’\u00a0\u202f]*\d)?")
_SPACED = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)")
_ORDINAL = re.compile(r"^\W*\d{1,3}[.)]\s", re.MULTILINE)
_NAME = re.compile(r"(?<=[\w,;:)] )[A-ZÀ-Þ][\w’'-]{2,}")
_REFUSAL = LazyPattern(
    r"\b(?:(?:could|can|did|do|does|was|were|is|are|have|has)(?: ?n[o']t|not|n’t| not)\b.{0,60}?\b(?:find|found|locate|"
    r"contain|mention|say|state|include|cover|provide|specif\w+|answer|know|determine|see|have|any)|"
    r"(?:no|nothing|none)\b.{0,60}?\b(?:found|find|information|mention\w*|passages?|documents?|answers?|relevant|"
    r"results?)|"
    r"unable to|cannot|not (?:found|mentioned|specified|stated|available)|"
    r"(?:nicht|nichts|kein\w*)\b.{0,80}?\b(?:gefunden|finden|enthalten|enthält|erwähnt|angegeben|steht|stehen|"
    r"information\w*|angaben?|hinweis\w*|antwort\w*|weiß|wissen|hervor)|(?:gefunden|finden|enthält|steht|"
    r"weiß)\b.{0,60}?\b"
    r"(?:nicht|nichts|kein\w*)|"
    r"(?:ne|n['’])\s?\w+.{0,60}?\b(?:pas|rien|aucun\w*)|aucune? (?:information|passage|document|réponse)|"
    r"no (?:he |se |hay |pude |encuentr|encontr|conten|mencion|dice|aparec)\w*|ningun[oa]? \w+|"
    r"nada\b.{0,40}?encontr\w*|"
    r"non (?:ho |è |ci |si |trov|conten|menzion|dice|posso|risult)\w*|nessun\w* \w+|nulla|"
    r"não (?:encontr|há|consegui|foi|cont|mencion|diz|consta|posso)\w*|nenhum\w* \w+|"
    r"(?:niet|niets|geen)\b.{0,60}?\b(?:gevonden|vinden|bevat\w*|vermeld\w*|informatie|antwoord|staat))\b",
    flags=re.IGNORECASE | re.DOTALL,
)
_SEARCHED = LazyPattern(
    r"\b(?:documents?|passages?|files?|sources?|texts?|context|information|details?|answers?|find|found|"
    r"dokument\w*|unterlagen|stellen?|quellen?|angaben?|antwort\w*|gefunden|finden|"
    r"fichiers?|extraits?|réponses?|trouv\w*|informations|"
    r"documentos?|archivos?|fuentes?|informaci[oó]n|respuestas?|encontr\w*|encuentr\w*|"
    r"document[oi]|fonti?|informazion[ei]|rispost[ae]|trov\w*|"
    r"arquivos?|fontes?|informaç\w+|respostas?|documenten|bronnen|informatie|antwoord|gevonden|vinden)\b",
    flags=re.IGNORECASE,
)
"""What an answer speaks of that says that the documents do not tell, beside one that denies a fact."""
REFUSAL_CHARS = 400
"""Where an answer says that it has none; further on it says it of a detail."""

NOTES: Mapping[str, str] = {
    "en": "Note: no passage of your documents was found that supports this answer.",
    "de": "Hinweis: In Ihren Dokumenten wurde keine Stelle gefunden, die diese Antwort stützt.",
    "fr": "Remarque : aucun passage de vos documents n'a été trouvé à l'appui de cette réponse.",
    "es": "Nota: no se ha encontrado ningún pasaje de sus documentos que respalde esta respuesta.",
    "it": "Nota: nei tuoi documenti non è stato trovato alcun passaggio a sostegno di questa risposta.",
    "pt": "Nota: não foi encontrado nenhum trecho dos seus documentos que sustente esta resposta.",
    "nl": "Opmerking: in uw documenten is geen passage gevonden die dit antwoord ondersteunt.",
}


@dataclass(slots=True)
class ToolUse:
    """What the tools of a run gave, as far as its answer may rest on it."""

    searched: bool = False
    """The user's documents were searched or read."""
    others: bool = False
    """Another tool gave something."""
    told: list[str] = field(default_factory=list)
    """What the others gave."""

    def note(self, event: ToolFinished) -> None:
        if event.status != "completed":
            return
        if event.name not in READERS:
            self.others = True
            self.told.append(event.output)
        elif _is_a_list_of_names(event.data):
            self.others = True
        else:
            self.searched = True


def support_of(answer: str, question: str, sources: Sequence[Source], checked: Checked, used: ToolUse) -> Support:
    """How far the answer rests on the documents of its run."""
    documents = [each for each in sources if each.kind == "document"]
    held, dropped = len(checked.citations), checked.dropped
    if not (documents or used.searched) or (used.others and not documents):
        return Support("none", held, dropped)
    told = _Told(answer, question, sources, checked, used)
    if not held:
        if dropped:
            return Support("unsupported", 0, dropped, "No quotation of the answer stands in the passage it names.")
        if tells_nothing(answer, question):
            return Support("none", 0, 0, "The answer says that the documents do not tell.")
        if not documents:
            return Support("unsupported", 0, 0, "No passage of the documents was found.")
        if told.is_drawn():
            return Support("partial", 0, 0, "The answer names no passage, though one that was found says the same.")
        return Support("unsupported", 0, 0, "The answer names no passage.")
    problem = told.problem()
    if dropped:
        which = "One citation was" if dropped == 1 else f"{dropped} citations were"
        problem = f"{which} dropped: the quoted words do not stand in the passage."
    if problem:
        return Support("partial", held, dropped, problem)
    return Support("supported", held, 0, "Every citation points at a passage that the run has seen.")


def caution(answer: str, question: str, support: Support, used: ToolUse) -> str:
    """The sentence to be put below an answer that asserts something without support; "" where none belongs."""
    if support.status != "unsupported" or used.others or not asserts(answer):
        return ""
    return NOTES.get(detect_language(question), NOTES["en"])


def asserts(answer: str) -> bool:
    """Whether an answer states something, and not that nothing was found or is known (seven languages)."""
    said = without_markers(answer).strip()
    if len(said.split()) < LEAST_WORDS and len(said) < 2 * LEAST_WORDS:
        return False
    sentences = [said[start:end].strip() for start, end in segments(said, (), ())]
    if all(each.endswith("?") for each in sentences if each):
        return False
    return _REFUSAL.search(said[:REFUSAL_CHARS]) is None


def tells_nothing(answer: str, question: str) -> bool:
    """Whether all that an answer says is that the documents do not tell: a short one, and no number is new in it."""
    said = without_markers(answer).strip()
    if not said or len(said) > REFUSAL_CHARS or not _REFUSAL.search(said) or not _SEARCHED.search(said):
        return False
    asked = numbers_of([question])
    return all(is_known(each, asked) for each in _numbers_in(said))


class _Told:
    """An answer sentence by sentence, beside the passages."""

    def __init__(self, answer: str, question: str, sources: Sequence[Source], checked: Checked, used: ToolUse) -> None:
        self._answer = answer
        self._sources = sources
        self._question = question
        self._used = used
        self._held = checked.citations
        self._starts = [each.start for each in self._held]
        spans = [(each.start, each.end) for each in checked.citations]
        self._parts = segments(answer, (), sorted({*spans, *checked.unread}))
        self._code = code_spans(answer)
        self._known: dict[tuple[frozenset[int], str], tuple[set[str], set[str]]] = {}

    def problem(self) -> str:
        """What of the answer is not in the passages, in one sentence; "" when nothing is."""
        wrong = self._wrong_numbers()
        if wrong:
            named = ", ".join(dict.fromkeys(wrong[:MAX_NAMED]))
            return f"In none of the cited passages: {named}."
        facts, loose = 0, 0
        words = self._words() if self._same_language() else None
        numbers = numbers_of(self._all_texts())
        for span, text, cited in self._sentences():
            if not cited and not _NUMBER.search(text) and not _NAME.search(text):
                continue
            facts += 1
            if not cited and not self._ends_cited(span) and not _is_backed(text, words, numbers):
                loose += 1
        if loose and loose >= MANY * facts:
            which = "One sentence" if loose == 1 else f"{loose} sentences"
            return f"{which} of the answer can be found in no passage."
        return ""

    def is_drawn(self) -> bool:
        """Whether the answer says in its own order what the passages say: nearly all its words and every number."""
        said = without_markers(self._answer[:MAX_ANSWER_CHARS])
        wanted = stems(said)
        if not wanted or not self._sources:
            return False
        texts = [text[:MAX_ANSWER_CHARS] for text in self._all_texts()]
        figures, there = _numbers_in(with_digits(said)), numbers_of([*texts, *map(with_digits, texts)])
        if any(not is_known(each, there) for each in figures):
            return False
        if not self._same_language():
            return bool(figures)
        known = self._words()
        asked = set(stems(self._question))
        own = [each for each in wanted if each not in asked]
        mostly = sum(each in known for each in wanted) >= DRAWN * len(wanted)
        return mostly and (not own or sum(each in known for each in own) >= DRAWN * len(own))

    def _same_language(self) -> bool:
        """Whether the words of the answer can be compared with those of the passages."""
        passages = " ".join(each.quote[:400] for each in self._sources[:5])
        return detect_language(without_markers(self._answer)) == detect_language(passages)

    def _sentences(self) -> Iterable[tuple[Span, str, Sequence[Citation]]]:
        for start, end in self._parts:
            before = bisect_right(self._code, (start, len(self._answer))) - 1
            if before >= 0 and start < self._code[before][1]:
                continue
            cited = self._cited_between(start, end)
            yield (start, end), without_markers(self._answer[start:end]), cited

    def _wrong_numbers(self) -> list[str]:
        """Numbers of cited sentences that none of the cited passages has."""
        elsewhere = numbers_of([self._question, *self._used.told])
        wrong: list[str] = []
        for _, text, cited in self._sentences():
            if not cited:
                continue
            said = [each for each in _numbers_in(text) if not is_known(each, elsewhere)]
            if not said:
                continue
            known, spelt = self._numbers_of_sources(frozenset(each.index for each in cited), cited[0])
            missing = [each for each in said if not is_known(each, known)]
            wrong += [each for each in missing if not is_known(each, spelt)]
        return wrong

    def _numbers_of_sources(self, indices: frozenset[int], first: Citation) -> tuple[set[str], set[str]]:
        """The numbers of these passages, in digits and spelt out; of the one that a citation was moved to as well."""
        key = (indices, first.source.title if first.note else "")
        if key not in self._known:
            sources = [*(self._sources[index - 1] for index in indices), *([first.source] if first.note else [])]
            texts = [f"{each.title} {' '.join(each.heading)} {each.quote}"[:MAX_READ_CHARS] for each in sources]
            self._known[key] = numbers_of(texts), numbers_of(map(with_digits, texts))
        return self._known[key]

    def _ends_cited(self, span: Span) -> bool:
        """Whether a later sentence of the paragraph carries a citation: it may stand for all before it."""
        end = self._answer.find("\n\n", span[1] - 1)
        end = len(self._answer) if end < 0 else end
        return bool(self._cited_between(span[1], end))

    def _cited_between(self, start: int, end: int) -> Sequence[Citation]:
        return self._held[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def _all_texts(self) -> list[str]:
        return [
            self._question,
            *self._used.told,
            *(f"{each.title} {' '.join(each.heading)} {each.quote}" for each in self._sources),
        ]

    def _words(self) -> set[str]:
        """The stems of all passages, as far as they are read."""
        known: set[str] = set()
        read = 0
        for text in self._all_texts():
            if read > MAX_READ_CHARS:
                break
            known.update(stem(word) for word in re.findall(r"[^\W_]+", text.casefold()))
            read += len(text)
        return known


def numbers_of(texts: Iterable[str]) -> set[str]:
    """Every number of the texts in each form in which it can be read."""
    found: set[str] = set()
    for text in texts:
        for token in set(_NUMBER.findall(text)):
            found |= _readings(token)
            found.update(_bare(part) for part in re.split(r"\D+", token) if part)
        found.update(_bare(token.replace(" ", "")) for token in _SPACED.findall(text))
    return found


def is_known(number: str, known: set[str]) -> bool:
    """Whether a number is among those known, in one of its readings: `1,5` is 1.5, `1.500` is 1500 or 1.5."""
    if _readings(number) & known:
        return True
    parts = [_bare(part) for part in re.split(r"\D+", number) if part]
    return len(parts) > 2 and all(part in known for part in parts)


def _numbers_in(text: str) -> list[str]:
    """The numbers of a sentence, without that of a list's item."""
    return _NUMBER.findall(_ORDINAL.sub("", text))


def _readings(token: str) -> set[str]:
    parts = re.split(r"\D+", token)
    if len(parts) == 1:
        return {_bare(token)}
    readings: set[str] = set()
    if all(len(part) == 3 for part in parts[1:]):
        readings.add(_bare("".join(parts)))
    if len(parts) == 2 or all(len(part) == 3 for part in parts[1:-1]):
        fraction = parts[-1].rstrip("0")
        whole = _bare("".join(parts[:-1]))
        readings.add(f"{whole}.{fraction}" if fraction else whole)
    return readings or {"|".join(map(_bare, parts))}


def _bare(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _is_backed(text: str, words: set[str] | None, numbers: set[str]) -> bool:
    """Whether a sentence's numbers, and enough of its words (if these can be compared), are in the passages."""
    if any(not is_known(each, numbers) for each in _numbers_in(text)):
        return False
    wanted = stems(text)
    return words is None or not wanted or sum(each in words for each in wanted) >= SHARED * len(wanted)


def _is_a_list_of_names(data: Any) -> bool:
    """Whether a search told which documents there are, instead of what they say."""
    return isinstance(data, Mapping) and "documents" in data and "hits" not in data
