"""Port for the tables made of uploaded files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.models.run import Owner
from backend.models.tables import TableFile, UserTable


@dataclass(frozen=True, slots=True)
class TablePlaces:
    """Server-made paths for the worker to write to, before anything is kept: nobody reads from them."""

    database: Path
    columnar: Path
    spool: Path


class TableStore(Protocol):
    """Databases of one owner, one for each document that holds tables. A stranger's id is a missing id."""

    async def places(self, owner: Owner) -> TablePlaces:
        """Fresh places for one import; `keep` or `discard` ends it."""
        ...

    async def keep(
        self,
        owner: Owner,
        file_id: str,
        filename: str,
        places: TablePlaces,
        tables: Sequence[UserTable],
        note: str | None = None,
    ) -> TableFile:
        """Take over what the worker wrote, in place of what was there for the document.

        The names of `tables` are wishes: a name that another document's table has gets a number. Raises StorageFull.
        """
        ...

    async def keep_columnar(self, owner: Owner, file_id: str, places: TablePlaces) -> None:
        """Take over a columnar copy made later. Raises NotFound when the document's tables are gone."""
        ...

    async def discard(self, places: TablePlaces) -> None:
        """Remove what is left at the places."""
        ...

    async def list_tables(self, owner: Owner) -> list[TableFile]:
        """Everything the owner has, newest first."""
        ...

    async def database(self, owner: Owner, file_id: str) -> Path:
        """The SQLite database of a document, to be opened for reading only. Raises NotFound."""
        ...

    async def columnar(self, owner: Owner, file_id: str) -> Path:
        """The columnar copy. Raises NotFound where there is none."""
        ...

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Remove a document's tables, if it has any."""
        ...
