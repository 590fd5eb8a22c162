"""Statistics of tables: CSV and JSON, given inline or as one of the user's files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, Field

from backend.models.documents import Document
from backend.models.errors import InvalidRequest, NotFound, UnsupportedFile
from backend.models.run import Owner, RunContext
from backend.models.tools import FileLink, Proposal, ToolResult
from backend.storage.artifact_store import ArtifactStore
from backend.storage.document_store import DocumentStore
from backend.tools.data_analysis_text import as_markdown
from backend.tools.port import BaseTool, ToolServices
from backend.utils.chart_words import asks_for_chart, chart_named
from backend.utils.statistics_words import asks_for_statistics, statistic_named, without_data
from backend.workers.port import Limits, Worker

JOB = "backend.workers.jobs.data_job:analyse"
LIMITS = Limits(seconds=20.0, memory_mb=768, output_bytes=4 * 1_048_576)
MAX_INLINE = 1_000_000
MAX_QUESTION = 2000
INLINE, NAMED, LIKE_NAMED = 0.92, 0.93, 0.85
"""Confidence; a table at hand is surer than a search in documents (0.9), a file's stem alone is less sure."""
PAGE = 200
MAX_NAMES = 20
MAX_CSV_CELL = 60
"""Longer pieces between commas are prose, not the cells of a pasted table."""
TABLE_FILES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xlsx", ".txt")
PROPOSED_FILES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xlsx")

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_AND = "and|und|et|y|e"
_LIST = re.compile(
    r"(?<![\w.])(?<!\d[,;])(?<!\d[,;] )(?<!\d and )(?<!\d und )(?<!\d et )(?<!\d [ey] )(?:\[\s*)?"
    rf"(?P<list>{_NUMBER}(?:\s*(?:,\s*(?:{_AND})\b|[,;]|\b(?:{_AND})\b)\s*{_NUMBER})++)\s*\]?"
    r"(?=\s*(?:$|[?.!;:]|,?\s*\b(?:please|bitte|por favor|per favore|rounded|and then)\b))",
    re.IGNORECASE,
)
"""Begins only where a list does, so that a long one is read once and not once for each of its numbers."""
_PER = re.compile(r"(?<!\w)(?:per|for each|grouped by|pro|je|par|por)\s+[^\W\d]", re.IGNORECASE)
"""A grouping: it asks for sums where no statistic is named."""
_SEPARATOR = re.compile(rf"\s*(?:,\s*(?:{_AND})\b|[,;]|\b(?:{_AND})\b)\s*", re.IGNORECASE)
_OF = re.compile(
    r"(?:\b(?:of|von|vom|de|des|del|di|dei|do|da|these|following|numbers|values|folgende[rn]?|zahlen|ces|nombres|estos"
    r"|números|numeri|valori)\b|:)",
    re.IGNORECASE,
)


def create(services: ToolServices) -> DataAnalysis:
    return DataAnalysis(services.worker, services.documents, services.artifacts)


class Arguments(BaseModel):
    data: str | None = Field(
        default=None,
        max_length=MAX_INLINE,
        description="The table itself as text: CSV with a header line, JSON (records, columns, nested), JSON lines, "
        "or a list of numbers.",
    )
    file: str | None = Field(
        default=None,
        max_length=300,
        description="Instead of data: name or id of a CSV, JSON or XLSX file the user uploaded.",
    )
    question: str | None = Field(
        default=None,
        max_length=MAX_QUESTION,
        description="What is asked, e.g. 'average price per city'; may be left out.",
    )
    group_by: str | None = Field(
        default=None, max_length=200, description="A field: statistics for each of its values, e.g. 'city'."
    )
    where: str | None = Field(
        default=None,
        max_length=500,
        description="Only the rows that meet this: field, one of = != < <= > >= contains, value; joined by 'and'. "
        "E.g. 'price > 10 and city = Paris'.",
    )
    chart: Literal["bar", "line", "histogram", "scatter", "pie"] | None = Field(
        default=None, description="Also draw this kind of chart; only when the user wants to see one."
    )
    chart_fields: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list,
        max_length=6,
        description="Fields to draw, the one along the axis first; left out, they are taken from the question.",
    )
    sheet: str | None = Field(
        default=None, max_length=100, description="Sheet of an XLSX file; left out, the first one with values."
    )


class DataAnalysis(BaseTool):
    name = "data_analysis"
    description = (
        "Statistics of a table in CSV, JSON (nested too) or XLSX, inline or from an uploaded file: for every field "
        "count, missing, distinct, sum, minimum, maximum, mean, median, deviation, quartiles or the commonest values; "
        "correlations, statistics per group, and on request a chart (bar, line, histogram, scatter, pie). "
        "Use it for questions about columns and rows; not for single calculations."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 30.0
    untrusted = True

    def __init__(self, worker: Worker, documents: DocumentStore, artifacts: ArtifactStore | None = None) -> None:
        self._worker = worker
        self._documents = documents
        self._artifacts = artifacts

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        """Raises InvalidRequest, NotFound, UnsupportedFile or WorkerFailed, each with a sentence for the user."""
        data, file = arguments.data or None, arguments.file or None
        if (data is None) == (file is None):
            raise InvalidRequest("Give either data or file, and not both.", param="arguments.data")
        asked = arguments.question or ""
        payload: dict[str, Any] = {
            "question": arguments.question,
            "sheet": arguments.sheet or None,
            "group_by": arguments.group_by or None,
            "where": arguments.where or None,
            "chart": None,
            "chart_fields": arguments.chart_fields,
        }
        if self._artifacts is not None:
            payload["chart"] = arguments.chart or chart_named(without_data(asked, data) if data else asked)
        title = "the data"
        if file is not None:
            document = await self._find(context.owner, file)
            payload["path"] = str(await self._documents.path(context.owner, document.file_id))
            payload["name"] = title = document.filename
        else:
            payload["text"] = data
        result = await self._worker.run(JOB, payload, limits=LIMITS)
        files = await self._kept(result["chart"], context)
        return ToolResult(as_markdown(result, title), result, files=files)

    async def _kept(self, chart: dict[str, Any] | None, context: RunContext) -> tuple[FileLink, ...]:
        """Store the drawing, which leaves the result for its link."""
        if chart is None or self._artifacts is None:
            return ()
        content = chart.pop("svg").encode()
        saved = await self._artifacts.save(
            context.owner, context.run_id, f"{chart['kind']}-chart.svg", "image/svg+xml", content
        )
        chart["url"] = f"/api/artifacts/{saved.id}"
        return (FileLink(saved.id, saved.name, saved.content_type, saved.size, chart["url"]),)

    async def _find(self, owner: Owner, wanted: str) -> Document:
        """One of the owner's files by id or by name, newest first."""
        names: list[str] = []
        page, total = 1, 1
        while (page - 1) * PAGE < total:
            documents, total = await self._documents.list_documents(owner, page=page, limit=PAGE)
            for document in documents:
                if document.file_id == wanted or document.filename.casefold() == wanted.strip().casefold():
                    if not document.filename.lower().endswith(TABLE_FILES):
                        raise UnsupportedFile(
                            f"{document.filename} is not a table; data analysis reads CSV, JSON and XLSX files."
                        )
                    return document
                names += [document.filename] if document.filename.lower().endswith(PROPOSED_FILES) else []
            page += 1
        there = ", ".join(names[:MAX_NAMES]) or "none; upload one first"
        raise NotFound(f"There is no file named {wanted[:100]!r}. Tables that can be analysed: {there}.")

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        data = inline_table(query)
        question = _ends(query if data is None else without_data(query, data))
        if not asks_for_statistics(question) and not _PER.search(question) and not asks_for_chart(question):
            return ()
        if data is not None:
            asked = query if len(query) <= MAX_QUESTION else question[:MAX_QUESTION]
            return [Proposal({"data": data, "question": asked}, INLINE, "a table in the question")]
        name = _mentioned(_ends(query), context.documents)
        if name is not None:
            sure = NAMED if name.casefold() in query.casefold() else LIKE_NAMED
            arguments = {"file": name, "question": query[:MAX_QUESTION]}
            return [Proposal(arguments, sure, "statistics of an uploaded table")]
        return ()


def _ends(question: str) -> str:
    """Beginning and end of a long question, where the request stands: looking through all of it takes seconds."""
    return question if len(question) <= 2 * MAX_QUESTION else f"{question[:MAX_QUESTION]}\n{question[-MAX_QUESTION:]}"


def inline_table(query: str) -> str | None:
    """JSON, CSV lines or a list of numbers standing in the question."""
    return _inline_json(query) or _inline_csv(query) or _inline_numbers(query)


def _inline_json(query: str) -> str | None:
    starts = [at for at in (query.find("["), query.find("{")) if at >= 0]
    if not starts:
        return None
    start = min(starts)
    end = max(query.rfind("]"), query.rfind("}")) + 1
    if end <= start:
        return None
    text = query[start:end]
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text if _looks_like_json_lines(text) else None
    return text if value and _has_numbers_or_records(value) else None


def _looks_like_json_lines(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and all(line.strip().startswith("{") and line.strip().endswith("}") for line in lines)


def _has_numbers_or_records(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    return all(isinstance(item, (dict, int, float, list)) or item is None for item in value)


def _inline_csv(query: str) -> str | None:
    """The longest run of lines with the same number of delimiters, at least a header and a row."""
    first, newline, rest = query.partition("\n")
    lines = [*re.split(r"(?<=[?:])[ \t]+", first), *rest.splitlines()] if newline else [first]
    best: list[str] = []
    for delimiter in (",", ";", "\t", "|"):
        run: list[str] = []
        for line in [*lines, ""]:
            if run and line.count(delimiter) != run[0].count(delimiter):
                best, run = (run if len(run) > len(best) else best), []
            short = max((len(cell) for cell in line.split(delimiter)), default=0) <= MAX_CSV_CELL
            if line.count(delimiter) >= 1 and short and not line.rstrip().endswith(("?", ":")):
                run.append(line.strip())
    has_numbers = any(char.isdigit() for line in best[1:] for char in line)
    return "\n".join(best) if len(best) >= 2 and has_numbers else None


def _inline_numbers(query: str) -> str | None:
    """`mean of 3, 5, 9`: a statistic's name, a joining word, and numbers."""
    found = next(reversed(list(_LIST.finditer(query))), None)
    if found is None:
        return None
    before = query[: found.start()][-MAX_QUESTION:]
    if statistic_named(before) is None or not (_OF.search(before) or found.group().startswith("[")):
        return None
    numbers = [part for part in _SEPARATOR.split(found["list"]) if part]
    return f"[{', '.join(number.lstrip('+') for number in numbers)}]"


def _mentioned(query: str, documents: Sequence[str]) -> str | None:
    """The newest table file whose name, or name without its ending, stands in the question."""
    lower = query.casefold()
    for name in documents:
        stem, dot, ending = name.casefold().rpartition(".")
        if dot + ending not in PROPOSED_FILES:
            continue
        spoken = re.sub(r"[_\-\s]+", " ", stem)
        if name.casefold() in lower or (len(stem) > 3 and re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", lower)):
            return name
        if len(spoken) > 3 and re.search(rf"(?<!\w){re.escape(spoken)}(?!\w)", lower):
            return name
    return None
