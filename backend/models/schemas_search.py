"""Body of POST /api/search."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from backend.models.schemas import Wire

MAX_QUERY_CHARS = 8192
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
_Texts = Annotated[list[_Text], Field(max_length=200)]


class SearchBody(Wire):
    """What is left out, or null, limits nothing.

    `files` are names or ids, `collections` ids, `types` extensions, content types or kinds such as `spreadsheet`;
    `after` and `before` are dates of upload.
    """

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARS)]
    top_k: Annotated[int, Field(ge=1, le=50)] | None = None
    files: _Texts | None = None
    collections: Annotated[list[_Text], Field(max_length=20)] | None = None
    types: _Texts | None = None
    after: _Text | None = None
    before: _Text | None = None
