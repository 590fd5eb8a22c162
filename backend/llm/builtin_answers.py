"""Writing the answer from tool results: values, cited sentences, tables, failures; never anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from backend.llm.builtin_choice import Progress
from backend.llm.builtin_lines import is_line
from backend.llm.builtin_passages import Passage, best_sentences, clean
from backend.llm.builtin_phrases import phrase
from backend.llm.builtin_turn import Result
from backend.utils.statistics_words import statistic_named

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

MAX_TEXT_CHARS = 6000
MAX_ROWS = 20
MAX_CELL_CHARS = 80
MAX_QUESTION_CHARS = 160
ALL_FIELDS = "\n\n| field | type |"
"""Where the table of all fields begins in the text of an analysis; a single answer needs none."""
_PARAGRAPH_CHARS = 60
"""A tool's own text shorter than this beside sources is an announcement, not content."""


class AnswerWriter:
    """Writes one answer. `language` is the query's."""

    def __init__(self, embedder: Embedder, query: str, language: str) -> None:
        self._embedder = embedder
        self._query = query
        self._language = language

    async def write(self, progress: Sequence[Progress], results: Sequence[Result]) -> str:
        """The answer, a paragraph for each part of the query in its order; results of no known part come last."""
        used: list[Result] = []
        paragraphs: list[str] = []
        for each in progress:
            used += each.results
            paragraphs.append(await self._of_need(each))
        rest = [result for result in results if not any(result is each for each in used)]
        told = [result for result in rest if result.error is None] or (rest if len(rest) == len(results) else [])
        for result in told:
            paragraphs.append(await self._of_result(result, _question_of(result, self._query)))  # noqa: PERF401
        return "\n\n".join(dict.fromkeys(paragraph for paragraph in paragraphs if paragraph))

    async def _of_need(self, at: Progress) -> str:
        found = at.succeeded
        if found is not None:
            question = self._query if at.need.text == self._query else at.need.text
            return await self._of_result(found, question)
        if at.results:
            return await self._of_result(at.results[0], at.need.text)
        return self._say("blocked" if at.need.options else "unserved", question=_short(at.need.text))

    async def _of_result(self, found: Result, question: str) -> str:
        if found.error is not None:
            return self._say("failed", tool=found.name, question=_short(question), error=found.error)
        if found.result is None:
            return _rendered(_decoded(found.content), found.content.strip()) or self._say("empty", tool=found.name)
        if found.result.sources:
            return await self._from_passages(found, question)
        empty = _empty_search(found.result.data)
        if empty:
            return self._say(empty, question=_short(question))
        if _is_analysis(found.result.data):
            return self._of_analysis(found.result.data, found.result.text.strip(), question)
        text = _rendered(found.result.data, found.result.text.strip())
        return self._limited(text) if text else self._say("empty", tool=found.name)

    def _of_analysis(self, data: Mapping[str, Any], text: str, question: str) -> str:
        """The statistic asked for; all of them when none was; and plainly so where the table does not have it."""
        if data.get("unknown"):
            return self._say(
                "not_in_data", what=_short(", ".join(map(str, data["unknown"]))), question=_short(question)
            )
        if data["answer"]:
            return self._limited(text.split(ALL_FIELDS)[0].strip())
        if statistic_named(without_tables(question)):
            names = ", ".join(clean(str(field.get("name", ""))) for field in data["fields"][:MAX_ROWS])
            return self._say("no_statistic", question=_short(question), fields=names)
        return self._limited(text)

    async def _from_passages(self, found: Result, question: str) -> str:
        assert found.result is not None
        sources = found.result.sources
        markers = found.markers if len(found.markers) == len(sources) else tuple(range(1, len(sources) + 1))
        passages = [
            Passage(source.quote, marker, source.filename or "")
            for source, marker in zip(sources, markers, strict=True)
        ]
        on_the_web = all(source.kind == "web" for source in sources)
        if on_the_web and len(found.result.text) > _PARAGRAPH_CHARS:
            passages.append(Passage(found.result.text, markers[0]))
        answer = await best_sentences(question, passages, self._embedder)
        if answer.sentences and answer.certain:
            return cited(answer.sentences)
        if answer.sentences:
            # In a paragraph of its own, so that the citation is seen to be of these very words.
            return f"{self._say('nearest', question=_short(question))}\n\n{cited(answer.sentences)}"
        return self._say("nothing_found" if on_the_web else "not_found", question=_short(question))

    def _limited(self, text: str) -> str:
        if len(text) <= MAX_TEXT_CHARS:
            return text
        return text[:MAX_TEXT_CHARS].rsplit("\n", 1)[0] + "\n…"

    def _say(self, key: str, **values: object) -> str:
        return phrase(self._language, key, **values)


def cited(chosen: Sequence[Passage]) -> str:
    """Sentences with their markers; neighbours of one source share the marker at the end."""
    out: list[str] = []
    for i, passage in enumerate(chosen):
        text = passage.text
        same_next = i + 1 < len(chosen) and chosen[i + 1].marker == passage.marker
        out.append(text if same_next and text[-1:] in ".!?" else f"{text} [{passage.marker}]")
        if i + 1 < len(chosen):
            out.append("\n" if is_line(text) or is_line(chosen[i + 1].text) else " ")
    return "".join(out)


def _is_analysis(data: Any) -> bool:
    return (
        isinstance(data, Mapping) and {"rows", "fields", "answer"} <= data.keys() and isinstance(data["fields"], list)
    )


def without_tables(question: str) -> str:
    """The lines of a question that are no data, the first one at least."""
    first, _, rest = question.partition("\n")
    return "\n".join([first, *(line for line in rest.split("\n") if line.endswith(("?", ".", "!")))])


def _empty_search(data: Any) -> str | None:
    """The phrase for a search that found nothing, told by its data; None for any other result."""
    if isinstance(data, Mapping):
        for key, says in (("hits", "not_found"), ("results", "nothing_found")):
            if data.get(key) == []:
                return says
    return None


def _question_of(result: Result, query: str) -> str:
    """What a result was asked: its own words where the call carries some, else the whole query."""
    texts = [value for value in result.arguments.values() if isinstance(value, str) and len(value.split()) > 1]
    return max(texts, key=len) if texts and result.result is not None and result.result.sources else query


def _short(question: str) -> str:
    line = clean(" ".join(question.split()).strip(" ."))
    return line if len(line) <= MAX_QUESTION_CHARS else line[: MAX_QUESTION_CHARS - 1].rsplit(" ", 1)[0] + " …"


def _decoded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _rendered(data: Any, text: str) -> str:
    """A tool's own text if it has any, else its data as a value, a list or a table."""
    if text and not (text[:1] in "[{" and _decoded(text) is not None):
        return text
    data = data if data is not None else _decoded(text)
    if data is None or data in ([], {}):
        return text
    if isinstance(data, list) and all(isinstance(row, Mapping) for row in data):
        return as_table(data)
    if isinstance(data, Mapping):
        return "\n".join(f"- {key}: {_cell(value)}" for key, value in data.items())
    if isinstance(data, list):
        return "\n".join(f"- {_cell(value)}" for value in data[:MAX_ROWS])
    return _cell(data)


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table, at most MAX_ROWS of them."""
    columns = list(dict.fromkeys(key for row in rows[:MAX_ROWS] for key in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(column, "")) for column in columns) for row in rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        lines.append(f"… +{len(rows) - MAX_ROWS}")
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: Any) -> str:
    plain = value if isinstance(value, str) else orjson.dumps(value).decode()
    plain = re.sub(r"\s+", " ", plain).replace("|", "\\|")
    return plain if len(plain) <= MAX_CELL_CHARS else plain[: MAX_CELL_CHARS - 1] + "…"
