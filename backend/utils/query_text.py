"""Reading a query without a model: its sentences, its parts, what refers back to something said before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from backend.utils.patterns import LazyPattern

MAX_SPLIT_CHARS = 6000
"""Longer queries are pasted text: they stay one part."""
MAX_PARTS = 8
MAX_OPENING_CHARS = 500
"""Where a question word or an imperative is looked for."""
MAX_DATA_LINES = 2000
"""Lines in which those of a table are looked for."""

# ---- sentences ----------------------------------------------------------------------------------

_ABBREVIATIONS = (
    "e.g i.e etc vs cf al no nr bzw ca usw z.b d.h u.a v.a s dr mr mrs ms prof st fig eq sec p pp vol approx dept "
    "inc ltd co jr sr sra dra ej p.ej ecc art abs jan feb mar apr jun jul aug sep sept oct nov dec"
)
_ABBREVIATION = LazyPattern(
    r"(?:^|[\s(\[])(?:" + "|".join(re.escape(each) for each in _ABBREVIATIONS.split()) + r"|[A-Za-z])$"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』]?|\n\s*\n|\n(?=\s*(?:[-*•–]|\d{1,2}[.)])\s)")
_MONTH = re.compile(r"(?:Jan|Feb|M[aä]r|Apr|Ma[iy]|Jun|Jul|Aug|Sep|O[ck]t|Nov|De[cz])")
_NUMBERED = re.compile(r"(?:§ ?)?\d{1,3}(?:\.\d{1,3}){0,3}[.)]?\s+[A-ZÀ-Þ]")
"""The beginning of a numbered heading."""
_LINE_JOIN = re.compile(r"(?<=\w)-\n(?=[a-zà-ÿ])")
_SPACE = re.compile(r"\s+")


def sentences(text: str) -> list[str]:
    """The sentences of a passage, in order, white space made single.

    Lines that a PDF broke in mid-sentence are joined; blank lines, list items and headings end a sentence;
    abbreviations, initials, ordinals and decimals do not.
    """
    text = _headings_apart(_LINE_JOIN.sub("", text.replace("\r\n", "\n")))
    out: list[str] = []
    start = 0
    for found in _SENTENCE_END.finditer(text):
        mark = found.group()
        if mark == "." and _goes_on(text, start, found.start(), found.end()):
            continue
        out.append(text[start : found.end()])
        start = found.end()
    out.append(text[start:])
    joined = (_SPACE.sub(" ", each).strip() for each in out)
    return [each for each in joined if any(c.isalnum() for c in each)]


def _goes_on(text: str, start: int, dot: int, end: int) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial or an ordinal instead of ending a sentence."""
    before = text[max(start, dot - 12) : dot]
    after = text[end : end + 12].lstrip()
    if after[:1].islower():
        return True
    if _ABBREVIATION.search(before) and not re.search(r"\bno$", before, re.IGNORECASE):
        return True
    numeral_alone = text[start:dot].strip().isdigit()
    ordinal = bool(re.search(r"(?:^|\s)\d{1,2}$", before)) and bool(_MONTH.match(after))
    return numeral_alone or ordinal


def _headings_apart(text: str) -> str:
    """A short line without final punctuation before a capital is a heading: a blank line is put after it."""
    lines = text.split("\n")
    out: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        out.append(line)
        bare, after = line.strip(), following.strip()
        short = 0 < len(bare) <= 60 and bare[-1].isalnum() and len(bare.split()) <= 8
        begins = bare[:1].isupper() or _NUMBERED.match(bare) is not None
        if (bare.startswith("#") or (short and after[:1].isupper() and begins)) and after:
            out.append("")
    return "\n".join(out)


# ---- questions ----------------------------------------------------------------------------------

_QUESTION_WORD = (
    r"what(?:'s|s)?|which|who(?:'s)?|whom|whose|when|where|why|how|"
    r"was|welche[rsmn]?|wer|wen|wem|wann|wo|woher|wohin|warum|wieso|weshalb|wie|wieviele?|worum|wofür|womit|"
    r"qu(?:e|i|oi|and|el(?:le)?s?)|combien|comment|pourquoi|où|qu['’]est-ce|est-ce|"
    r"qué|quién(?:es)?|cuál(?:es)?|cuándo|cuánt[oa]s?|cuant[oa]s|dónde|por qué|cómo|"
    r"che cosa|cosa|chi|qual[ei]?|quando|quant[oaie]|dove|perché|come|com['’]è|cos['’]è|"
    r"o que|quem|quais|quant[oa]s|onde|por que|como|"
    r"wat|wie|waar|wanneer|waarom|hoe|hoeveel|welke?"
)
_AUXILIARY = (
    r"is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|may|"
    r"ist|sind|hat|haben|kann|kannst|darf|gibt|muss|wird|est|sont|peut|peux|puis-je|y a-t-il|"
    r"hay|puede|puedo|tiene|está|c'è|ci sono|può|posso|há|pode|tem"
)
_VERB = (
    r"calculate|compute|solve|work out|evaluate|simplify|factor|differentiate|integrate|convert|multiply|divide|add|"
    r"subtract|square|double|halve|round|find|search|look|show|list|give|tell|explain|summari[sz]e|analy[sz]e|compare|"
    r"check|count|get|fetch|plot|draw|describe|use|run|translate|write|determine|sum|report|query|google|"
    r"berechne|rechne|löse|vereinfache|leite|integriere|multipliziere|dividiere|teile|addiere|subtrahiere|ziehe|runde|"
    r"verdopple|halbiere|finde|suche?|zeige?|liste|gib|sage?|erkläre?|fasse|analysiere|vergleiche|prüfe|zähle|nenne|"
    r"nutze|verwende|schreibe?|übersetze|"
    r"calcule[rz]?|résou[sd]|simplifie|dérive|intègre|multiplie[rz]?|divise[rz]?|ajoute[rz]?|soustrai[st]|trouve[rz]?|"
    r"cherche[rz]?|montre[rz]?|donne[rz]?|dis|explique[rz]?|résume[rz]?|analyse[rz]?|compare[rz]?|vérifie[rz]?|"
    r"calcula|resuelve|simplifica|deriva|multiplica(?:lo|r)?|multiplícalo|divide(?:lo)?|divídelo|suma|resta|encuentra|"
    r"busca|muestra|lista|da(?:me)?|dime|explica|resume|analiza|compara|"
    r"risolvi|semplifica|moltiplica(?:lo)?|dividi(?:lo)?|somma|sottrai|trova|cerca|mostra|elenca|dammi|dimmi|spiega|"
    r"riassumi|analizza|confronta|"
    r"resolva|simplifique|multiplique|divida|some|subtraia|encontre|procure|pesquise|mostre|liste|diga|explique|resuma|"
    r"analise|compare"
)
_OPENING = rf"(?:{_QUESTION_WORD}|{_AUXILIARY}|{_VERB})"
_STARTS_OPENING = LazyPattern(
    rf"^\W*(?:(?:please|bitte|por favor|per favore|s['’]il (?:te|vous) plaît)\s+)?{_OPENING}\b"
)
_STARTS_QUESTION = LazyPattern(rf"^\W*(?:{_QUESTION_WORD}|{_AUXILIARY})\b")
_STARTS_AUXILIARY = LazyPattern(rf"^\W*(?:{_AUXILIARY})\b")
_QUESTION_MARK = re.compile(r"[?？؟;՞]\s*$|¿|か[。？?]?\s*$|吗|嗎|呢\s*$")


def is_question(text: str) -> bool:
    """Whether the text asks something: a question mark of any script, or a question word first."""
    bare = text.strip()
    if not bare:
        return False
    begins = _STARTS_QUESTION.match(bare[:MAX_OPENING_CHARS])
    return bool(re.search(r"[?？؟¿]", bare[-3:]) or "¿" in bare or begins or _QUESTION_MARK.search(bare[-20:]))


def is_request(text: str) -> bool:
    """Whether the text asks or tells to do something (question or imperative, several languages)."""
    return is_question(text) or bool(_STARTS_OPENING.match(text[:MAX_OPENING_CHARS]))


# ---- parts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a query asks for. `depends` when it speaks of the result of an earlier part ("multiply that by 3")."""

    text: str
    depends: bool = False


_PROTECTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]{0,500}\"|“[^”]{0,500}”|«[^»]{0,500}»|„[^“”]{0,500}[“”]|"
    r"\[[^\[\]]{0,4000}\]|\{[^{}]{0,4000}\}|\((?![a-h1-9]\))[^()]{0,500}\)|https?://\S+",
    re.DOTALL,
)
_LIST_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•–]|[a-h]\))[ \t]+(?=\S)", re.MULTILINE)
_INLINE_ITEM = re.compile(r"(?:(?<=\s)|^)(?:\(?[1-9]\)|\([a-h]\))\s+")
_AND = r"and|&|und|sowie|et|y|e|ed|as well as|plus|en"
_AFTER = (
    r"then|afterwards|after that|next|finally|also|additionally|besides|"
    r"dann|danach|anschließend|außerdem|auch|zuletzt|ensuite|puis|après|aussi|également|enfin|"
    r"luego|después|además|también|finalmente|poi|dopo|inoltre|anche|infine|depois|em seguida|também|"
    r"please|bitte|por favor"
)
_JOINT = LazyPattern(
    rf"[,;]?\s+(?:{_AND})\s+(?:(?:{_AFTER})\s+)*(?={_OPENING}\b)"
    rf"|[,;]\s*(?:(?:{_AND})\s+)?(?:(?:{_AFTER}),?\s+)+(?={_OPENING}\b)"
    rf"|\s+(?:then|danach|anschließend|ensuite|puis|luego|después|poi|depois)\s+(?={_OPENING}\b)"
    rf"|;\s+"
)
_COMMA_JOINT = LazyPattern(
    rf",\s+(?=(?:what(?:'s| is| are| was| does)|how (?:many|much|do|does|is)|was (?:ist|sind)|wie ?viele?|"
    rf"who(?:'s| is| are)|when (?:is|was|does|do|did|will)|where (?:is|are|was)|wer ist|wann (?:ist|wird)|qui est|"
    rf"quand est|"
    rf"quién es|chi è|quem é|{_VERB})\b)"
)
_CONDITION = LazyPattern(r"^\W*(?:if|whenever|wenn|falls|sofern|si|se|als)\b")
_LEADING = LazyPattern(rf"^(?:(?:{_AND}|{_AFTER})\b[,\s]*)+")
_REFERENCE = LazyPattern(
    r"\b(?:the|this|that|its) (?:result|answer|outcome)\b"
    r"|\b(?:that|this|it|(?:the|this|that) (?:sum|total|product|value|figure|number|difference|"
    r"quotient))\b(?=\s*(?:$|[?.!,;:]|\b(?:by|to|from|with|into|in|and|plus|minus|times|up|down|per|as|for)\b"
    r"|[-+*/×÷^]))"
    r"|\b(?:das|dem|des|dieses|diesem|vom) (?:ergebnis(?:ses)?|resultat|produkt)\b|\b(?:die|der|diese|dieser) summe\b"
    r"|\b(?:davon|damit|dazu|dies)\b|\b(?:das|es)\b(?=\s*(?:$|[?.!,;:]|(?:durch|mit|von|zu|um|plus|minus|mal|in)\b))"
    r"|\b(?:le|ce|du) (?:résultat|produit|total|nombre)\b|\b(?:la|cette) somme\b|\bcela\b|\bça\b|(?<=[a-z])-le\b"
    r"|\b(?:el|ese|este|del) (?:resultado|producto|total|número)\b|\b(?:la|esa) suma\b|\b(?:eso|esto|ello)\b"
    r"|\b(?:il|questo|quel|del) (?:risultato|prodotto|totale|numero)\b|\bla somma\b|\b(?:quello|questo|"
    r"ciò)\b(?=\s+(?:per|con|di)\b)"
    r"|\b(?:o|esse|este|do) (?:resultado|produto|total|número)\b|\b(?:a|essa) soma\b|\b(?:isso|isto)\b"
)
_CLITIC = LazyPattern(
    r"\b(multipl[ií]ca|div[ií]de|s[uú]ma|r[eé]sta|elev[aá]|moltiplica|dividi|somma|sottrai)(?:lo|la)\b"
)


def split_parts(query: str) -> tuple[Part, ...]:
    """What a query asks for, piece by piece, in order; one part when it does not fall apart.

    Cuts at list items, sentence ends, semicolons and at "and" (six languages) where a new question or instruction
    begins; never inside quotes, brackets, code or inline data. A condition ("if …, then …") stays whole.
    """
    text = query.strip()
    if len(text) > MAX_SPLIT_CHARS or not text:
        return (Part(text),) if text else ()
    masked = _mask(text)
    pieces: list[str] = []
    for start, end in _list_spans(masked):
        for s, e in _sentence_spans(masked, start, end):
            pieces += [text[a:b] for a, b in _joint_spans(masked, s, e)]
    cleaned = [_LEADING.sub("", piece.strip()).strip(" ,;") for piece in pieces]
    kept = [piece for piece in cleaned if any(c.isalnum() for c in piece)][:MAX_PARTS]
    if len(kept) < 2:
        return (Part(text),)
    return tuple(Part(piece, i > 0 and refers_back(piece)) for i, piece in enumerate(kept))


def refers_back(text: str) -> bool:
    """Whether the text speaks of an earlier result: "that", "the result", "davon", "cela", "eso", …"""
    return bool(_REFERENCE.search(text) or _CLITIC.search(text))


def put_value(text: str, value: str) -> str:
    """The text with its reference to an earlier result replaced by a value; unchanged when there is none."""
    replaced, count = _CLITIC.subn(lambda found: f"{found.group(1)} {value}", text, count=1)
    if count:
        return replaced
    return _REFERENCE.sub(lambda found: f" {value}" if found.group().startswith("-") else value, text, count=1)


def has_inline_data(text: str) -> bool:
    """Whether the text carries data or code to work on: a fence, JSON, or lines of a table."""
    if "```" in text or re.search(r"[\[{]\s*[\[{\"\d-]", text):
        return True
    lines = text.split("\n", MAX_DATA_LINES)[:MAX_DATA_LINES]
    return sum("," in line or "\t" in line or ";" in line for line in lines) >= 3


def _mask(text: str) -> str:
    """The text with everything protected replaced by as many underscores."""
    for _ in range(3):
        masked = _PROTECTED.sub(lambda found: "_" * len(found.group()), text)
        if masked == text:
            break
        text = masked
    return text


def _list_spans(masked: str) -> list[tuple[int, int]]:
    items = list(_LIST_ITEM.finditer(masked))
    if len(items) < 2:
        items = list(_INLINE_ITEM.finditer(masked))
    if len(items) < 2:
        return [(0, len(masked))]
    ends = [item.start() for item in items[1:]] + [len(masked)]
    spans = [(item.end(), end) for item, end in zip(items, ends, strict=True)]
    lead = masked[: items[0].start()].strip()
    if lead and not lead.endswith(":"):
        spans.insert(0, (0, items[0].start()))
    return spans


def _sentence_spans(masked: str, start: int, end: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for found in _SENTENCE_END.finditer(masked, start, end):
        if found.group() == "." and _goes_on(masked, start, found.start(), found.end()):
            continue
        spans.append((start, found.end()))
        start = found.end()
    spans.append((start, end))
    return [(s, e) for s, e in spans if masked[s:e].strip()]


def _joint_spans(masked: str, start: int, end: int) -> list[tuple[int, int]]:
    sentence = masked[start:end]
    if _CONDITION.match(sentence):
        return [(start, end)]
    cuts = [(found.start(), found.end()) for found in _JOINT.finditer(sentence)]
    if _STARTS_OPENING.match(sentence):
        cuts += [(found.start(), found.end()) for found in _COMMA_JOINT.finditer(sentence)]
    told = not _STARTS_OPENING.match(sentence) and not sentence.rstrip().endswith("?")
    spans: list[tuple[int, int]] = []
    at = 0
    for cut_start, cut_end in sorted(cuts):
        if _within_statistics(sentence, cut_start, cut_end) or (told and _STARTS_AUXILIARY.match(sentence[cut_end:])):
            continue
        if cut_start < at or len(sentence[at:cut_start].strip()) < 3:
            continue
        spans.append((start + at, start + cut_start))
        at = cut_end
    spans.append((start + at, end))
    return spans


_STATISTIC = (
    r"(?:min(?:imum)?|max(?:imum)?|means?|averages?|medians?|modes?|sums?|totals?|counts?|range|variance|std|"
    r"standard deviation|product|mittelwert|durchschnitt|summe|anzahl|produkt|moyenne|médiane|somme|"
    r"media|mediana|suma|somma)"
)
_ENDS_IN_STATISTIC = re.compile(rf"\b{_STATISTIC}\s*$", re.IGNORECASE)
_BEGINS_WITH_STATISTIC = re.compile(rf"\s*(?:the |der |die |das |la |le |il |el )?{_STATISTIC}\b", re.IGNORECASE)
_STATISTICS_OF_ONE = LazyPattern(
    rf"\b{_STATISTIC}(?:\s*,\s*(?:the )?{_STATISTIC}){{0,8}},?\s+(?:{_AND})\s+(?:the |der |die |das |la |le |il )?"
    rf"{_STATISTIC}\s+(?:of|for|from|von|aus|de|des|di|dei|da)\b"
)


def _within_statistics(sentence: str, start: int, end: int) -> bool:
    """Whether a cut would part statistics that share one object: "mean and sum of 3, 9, -2"."""
    return bool(_ENDS_IN_STATISTIC.search(sentence[max(0, start - 40) : start])) and bool(
        _BEGINS_WITH_STATISTIC.match(sentence, end)
    )


def asks_statistics_of_one(text: str) -> bool:
    """Whether several statistics are asked of the same numbers: "min and max of 3, 9, -2"."""
    return len(text) <= MAX_SPLIT_CHARS and bool(_STATISTICS_OF_ONE.search(text))


# ---- numbers, names, comparisons ---------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?:\s?%)?(?!\w)")
"""A number as people write it, with its percent sign."""


def numbers(text: str) -> list[str]:
    """The numbers written in a text, in order, as written."""
    return [found.group().strip() for found in NUMBER.finditer(text)]


_TOOL_VERB = (
    r"(?:use|using|call|run|with|via|invoke|nutze|verwende|benutze|mit|utilise[rz]?|avec|usa|utiliza|con|use|com)"
)
_ARTICLE = r"(?:the |das |die |den |le |la |l['’]|el |il |lo |o |a )?"


def find_tool_name(text: str, name: str) -> re.Match[str] | None:
    """Where a tool is called by its name: `math_calc`, "use weather", "the weather tool"; None when it is not.

    What is asked of a pasted text stands before it or behind it, so the middle of a long one is not looked at.
    """
    pattern = _tool_name_pattern(name)
    found = pattern.search(text, 0, MAX_SPLIT_CHARS)
    if found is None and len(text) > MAX_SPLIT_CHARS:
        found = pattern.search(text, max(MAX_SPLIT_CHARS, len(text) - MAX_SPLIT_CHARS))
    return found


@lru_cache(maxsize=256)
def _tool_name_pattern(name: str) -> re.Pattern[str]:
    spoken = "[_ -]?".join(re.escape(piece) for piece in name.split("_"))
    alternatives = [
        rf"\b{_TOOL_VERB} {_ARTICLE}(?:tool )?[`'\"]?{spoken}\b[`'\"]?(?: tool\b)?",
        rf"\b(?:the )?{spoken} tool\b|\btool {spoken}\b",
    ]
    if "_" in name:
        alternatives.append(rf"\b{re.escape(name)}\b")
    return re.compile("|".join(alternatives), re.IGNORECASE)


_COMPARE = LazyPattern(
    r"\b(?:compare|contrast|vergleiche?|compare[rz]?|compara|confronta)\s+(?P<a>.{2,80}?)\s+"
    r"(?:and|with|to|versus|vs\.?|und|mit|et|avec|à|y|con|e|com)\s+(?P<b>.{2,120})$"
    r"|\b(?:difference|unterschied|différence|diferencia|differenza|diferença)s?\s+(?:between|zwischen|entre|"
    r"tra)\s+(?P<c>.{2,80}?)\s+"
    r"(?:and|und|et|y|e)\s+(?P<d>.{2,120})$"
)
_TAIL = LazyPattern(
    r"\s+(?:(?:in|from|according to|using|based on|with respect to|regarding|in terms of|on|as to|laut|aus|anhand|"
    r"hinsichtlich|"
    r"selon|d['’]après|dans|según|en|secondo|segundo|nos|nei)\s+.+)$"
)


def compared(query: str) -> tuple[str, str, str] | None:
    """The two things a query compares and what the comparison is about, or None.

    "Compare plan A and plan B in my documents" gives ("plan A", "plan B", "in my documents").
    """
    found = _COMPARE.search(query.strip().rstrip("?!. "))
    if not found:
        return None
    first, second = (found["a"], found["b"]) if found["a"] else (found["c"], found["d"])
    tail = _TAIL.search(second)
    about = tail.group().strip() if tail else ""
    if tail:
        second = second[: tail.start()]
    first = re.sub(r"^(?:the|der|die|das|le|la|les|el|los)\s+", "", first, flags=re.IGNORECASE)
    return first.strip(), second.strip(), about


# ---- small talk ---------------------------------------------------------------------------------

_GREETING = LazyPattern(
    r"^\W*(?:hi|hello|hey|hiya|yo|greetings|good (?:morning|afternoon|evening|day|night)|hallo|hi|guten (?:tag|"
    r"morgen|abend)|"
    r"gute nacht|servus|moin|grüezi|bonjour|bonsoir|salut|coucou|hola|buenos días|buenas (?:tardes|noches)|ciao|"
    r"buongiorno|"
    r"buonasera|salve|olá|oi|bom dia|boa (?:tarde|noite)|bonne nuit|hej|ahoj|"
    r"привет|здравствуйте|こんにちは|你好|안녕하세요|مرحبا)\b"
    r"(?:[\s,]+(?:there|all|everyone|hearth|zusammen|du|tous|todos|a tutti|tudo bem|dear|friend))*[\s!.,:)…?👋]*$"
)
_THANKS = LazyPattern(
    r"^\W*(?:ok(?:ay)?[,.! ]+)?(?:thanks?(?: you)?|thx|cheers|many thanks|great|perfect|awesome|cool|nice|good job|"
    r"well done|got it|"
    r"ok(?:ay)?|alright|bye|goodbye|see you|danke(?: ?schön| dir| ihnen)?|vielen dank|super|prima|tschüss|"
    r"auf wiedersehen|"
    r"merci(?: beaucoup)?|parfait|au revoir|(?:muchas )?gracias|perfecto|adiós|grazie(?: mille)?|perfetto|arrivederci|"
    r"(?:muito )?obrigad[oa]|perfeito|tchau)\b(?:\W+(?:\w+\W*){0,4})?$"
)


def is_greeting(text: str) -> bool:
    """Whether the text only greets."""
    return len(text) <= 80 and bool(_GREETING.match(text))


def is_thanks(text: str) -> bool:
    """Whether the text only thanks, agrees or says goodbye."""
    return len(text) <= 80 and bool(_THANKS.match(text)) and not is_question(text)
