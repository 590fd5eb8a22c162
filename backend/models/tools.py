"""What a tool is to the rest of the house: its specification, its proposals, its result, its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.models.documents import Unit


@dataclass(frozen=True, slots=True)
class Source:
    """Where a piece of a tool's result came from, good enough to cite."""

    kind: Literal["document", "web"]
    title: str
    """What a person reads, e.g. `handbook.pdf, p. 3`."""
    quote: str
    """The passage itself, as found in the source."""
    url: str = ""
    """Absolute for the web; for documents a path of this server, e.g. `/files/{file_id}/view#page=3`."""
    file_id: str | None = None
    filename: str | None = None
    page: int | None = None
    """Counted from 1; None where the format has no pages."""
    score: float | None = None
    """In [0, 1], higher is better."""
    unit: Unit = "page"
    """What `page` counts."""
    label: str = ""
    """Name of the sheet or chapter."""
    heading: tuple[str, ...] = ()
    """The headings above the passage, outermost first."""
    line: int | None = None
    """Line of the page's text on which it begins, counted from 1."""
    start: int | None = None
    end: int | None = None
    """Its place in the page's text, in characters, end exclusive."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the score was made of, e.g. `dense`, `lexical`, `rerank`."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A `[n]` marker of the answer, resolved to a source the run really saw.

    `start` and `end` are character offsets of the marker in the answer (end exclusive). Where the answer quotes the
    source, `quoted` is set, and the source's quote, start, end and line are those of the quoted words alone.
    """

    index: int
    source: Source
    start: int
    end: int
    quoted: bool = False
    note: str = ""
    """One sentence where the server put the citation right."""


@dataclass(frozen=True, slots=True)
class Support:
    """How far an answer rests on the passages that its run has seen. `reason` is one sentence.

    `none`: the run used no documents, or the answer says that they do not tell. `unsupported`: documents were searched,
    and no citation of the answer holds. `partial`: some of it does not rest on them. `citations` that hold, and
    `dropped` ones that did not.
    """

    status: Literal["supported", "partial", "unsupported", "none"] = "none"
    citations: int = 0
    dropped: int = 0
    reason: str = "The run used no documents."


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file that a tool made and the server keeps for its owner. `url` is a path of this server."""

    id: str
    name: str
    content_type: str
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gives back.

    `text` is for the model and for people, without the passages of `sources`: the toolbox numbers and
    appends those. `data` is the same result for programs (JSON values only). `error` is set when the
    tool failed; `text` may then be empty. `files` are charts and the like, already stored for the owner.
    """

    text: str
    data: Any = None
    sources: tuple[Source, ...] = ()
    error: str | None = None
    files: tuple[FileLink, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tool's own opinion, without a language model, that it can answer (a part of) a query.

    `confidence` in [0, 1]: 0.9 and above means an unmistakable cue, 0.5 a plausible guess.
    """

    arguments: Mapping[str, Any]
    confidence: float
    reason: str = ""


Propose = Callable[[str], Sequence[Proposal]]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it: OpenAI's function shape without the wrapping.

    `parameters` is a JSON schema of type object. `propose` lets the built-in model and the router ask
    the tool itself what it makes of a query; providers that speak to a real model ignore it.
    `strict`: arguments that do not fit the schema are of no use to whoever runs the tool.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    propose: Propose | None = None
    strict: bool = False
