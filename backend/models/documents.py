"""Documents as they are stored, split and found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DocumentStatus = Literal["uploaded", "processing", "ready", "failed", "kept"]
"""`kept`: stored as it came and never read, because it is no text or not meant to be searched."""
Unit = Literal["page", "slide", "sheet", "chapter"]
"""What the numbered parts of a document are."""
Form = Literal["markdown", "plain", "code"]
"""How the text of a page shows its structure: headings, tables and fences as in Markdown, or as it stands."""
READING = 1
"""The present way of reading: another value when loaders give so much more that documents are to be read again."""
READ_PURPOSES = frozenset({"assistants", "user_data"})
"""Files of these purposes are read and searched; those of others are kept as they came."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upload is for and how long it stays: `lifetime` in seconds, None for ever."""

    purpose: str = "assistants"
    lifetime: float | None = None

    def expires_at(self, now: float) -> float | None:
        return None if self.lifetime is None else now + self.lifetime


@dataclass(frozen=True, slots=True)
class Document:
    """What Hearth knows about an uploaded file. `filename` is the name the user gave: text, never a path.

    `file_id` is server-made. `sha256` is of the bytes, hex. `created_at` is seconds since the epoch.
    `progress` in [0, 1] while processing. `error` is one sentence when failed.
    """

    file_id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    created_at: float
    status: DocumentStatus = "uploaded"
    chunks: int = 0
    pages: int | None = None
    unit: Unit = "page"
    """What `pages` counts."""
    progress: float = 0.0
    error: str | None = None
    purpose: str = "assistants"
    note: str | None = None
    """One sentence about what was left out, for a document that is ready nevertheless."""
    expires_at: float | None = None
    """Seconds since the epoch; from then on the document is as if deleted. None means never."""
    reading: int = 0
    """Which way of reading made its pages, see READING; 0 for those of an older server."""

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def share_bytes(one: str, other: str) -> bool:
    """Whether the same bytes under these two purposes are one document: they are when it is read for both."""
    return one == other or {one, other} <= READ_PURPOSES


def longer(one: float | None, other: float | None) -> float | None:
    """The later of two times of expiry, None being never."""
    return None if one is None or other is None else max(one, other)


@dataclass(frozen=True, slots=True)
class PageText:
    """Text of one page, slide, sheet or chapter, or of the whole file where the format has none: `number` None.

    `form` tells how its structure is to be read: a `markdown` text has headings as `#` lines, tables as pipe tables and
    code in fences. `label` is the name of a sheet or chapter, "" where it has none.
    """

    number: int | None
    text: str
    unit: Unit = "page"
    label: str = ""
    form: Form = "plain"
    scanned: bool = False
    """A picture without text of its own, which only OCR can read."""


@dataclass(frozen=True, slots=True)
class DocumentChunk:
    """A piece of a document that is embedded and found as one. `index` counts chunks of its document from 0.

    `page` is the number of the page (or slide…, see `unit`) it stands on, `start` and `end` are its place in that
    page's text, in characters, end exclusive, and `line` the line of that text on which it begins, counted from 1.
    The text is that of its place, except that each part of a long table begins with the table's head.
    """

    file_id: str
    filename: str
    index: int
    text: str
    page: int | None = None
    unit: Unit = "page"
    label: str = ""
    heading: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    start: int = 0
    end: int = 0
    line: int = 1

    @property
    def context_text(self) -> str:
        """What is embedded: the text below its headings, which often hold the words that it is asked for with."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True)
class Hit:
    """A found chunk. `score` in [0, 1], higher is better; `parts` holds the scores it was fused from.

    `vector` is the chunk's own, shape (d,), unit length; None where the search went without vectors.
    """

    chunk: DocumentChunk
    score: float
    parts: dict[str, float] = field(default_factory=dict)
    vector: npt.NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IndexRecipe:
    """What an index was made with; one made with another is made again. `size` and `overlap` in characters."""

    embedder: str
    size: int
    overlap: int

    def __str__(self) -> str:
        """The form that a vector store keeps with the index."""
        return f"{SPLITTING}:{self.size}/{self.overlap}:{self.embedder}"


SPLITTING = "blocks-1"
"""Which way of splitting made the chunks: another value when it changes so that indexes are to be made again."""


def embedder_of(recipe: str) -> str:
    """The name of the embedder in a kept recipe; older indexes kept nothing but that."""
    parts = recipe.split(":", 2)
    return parts[2] if len(parts) == 3 and parts[0].startswith("blocks-") else recipe
