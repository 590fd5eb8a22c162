"""Documents that are zip archives of XML: opened after they are counted, read piece by piece within bounds.

A tree of XML takes some forty times the memory of the text it comes from. So small parts only are read as trees, and
of the large ones never more than one paragraph or row at a time.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from backend.loaders.port import LoadRefused
from backend.utils.archives import UnsafeArchive, check_archive

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of the older binary formats begin, and those that are protected by a password (MS-CFB, section 2.2)."""
MAX_TREE_BYTES = 32 * 1_048_576
MAX_TREE_MARKS = 1_000_000
"""Of `<` and `=` in a part that is read as a tree: each may take 250 bytes."""
MAX_BLOCK_BYTES = 4 * 1_048_576
"""XML of one paragraph or row."""
MAX_BLOCKS = 300_000
"""Paragraphs and rows of one document; so many take some ten seconds."""
PIECE = 65_536
PROTECTED = "The file is protected by a password: save a copy without one and upload that."
_OLD = "The file is {what} of an older kind or a damaged one: open it, save it as {extension} and upload that."
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


class Damaged(ValueError):
    """The parts of a document contradict each other or are missing."""


def refuse_unsafe(path: Path, main: str | None, what: str, *, doctypes: bool = False) -> None:
    """Check an archive before anything is unpacked for use, see check_archive. Raises LoadRefused."""
    try:
        check_archive(path, main, what, doctypes=doctypes)
    except UnsafeArchive as error:
        raise LoadRefused(str(error)) from None


def refuse_old(path: Path, what: str, extension: str) -> None:
    """Refuse a file of the binary formats by what it is: protected by a password, or of the time before XML."""
    with path.open("rb") as file:
        if file.read(8) != OLE:
            return
        file.seek(0)
        # The names of its parts are in sectors of their own, mostly near the beginning or the end.
        tail = max(path.stat().st_size - 262_144, 0)
        head = file.read(262_144)
        file.seek(tail)
        if _ENCRYPTED in head or _ENCRYPTED in file.read():
            raise LoadRefused(PROTECTED)
    raise LoadRefused(_OLD.format(what=what, extension=extension))


def local(element: Any) -> str:
    """The name of an element without its namespace; "" for comments and the like.

    Office writes each format in two families of namespaces, which mean the same.
    """
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """An attribute by its name, whatever its namespace."""
    for key, value in element.attrib.items():
        if key == name or key.endswith("}" + name):
            return str(value)
    return None


def child(element: Any, name: str) -> Any | None:
    """The first child of that name."""
    return next((each for each in element if local(each) == name), None)


def value_of(element: Any | None, name: str) -> str | None:
    """The `val` of a child, as in `<w:ilvl w:val="1"/>`."""
    found = child(element, name) if element is not None else None
    return None if found is None else attribute(found, "val")


def number_of(text: str | None, least: int = 0, most: int = 1_000_000) -> int | None:
    """A whole number between two bounds, or None."""
    if text is None or not text.lstrip("-").isdecimal() or len(text) > 12:
        return None
    return min(max(int(text), least), most)


class Package:
    """An archive that has been checked. Close it, or use it in `with`."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self.names = frozenset(self._archive.namelist())

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def bytes_of(self, name: str) -> bytes:
        """A part. Raises Damaged."""
        try:
            return self._archive.read(name)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError):
            raise Damaged(name) from None

    def tree(self, name: str) -> Any:
        """The root of a small part. Raises Damaged, and LoadRefused when it is not small."""
        from lxml import etree

        raw = self.bytes_of(name)
        if len(raw) > MAX_TREE_BYTES or raw.count(b"<") + raw.count(b"=") > MAX_TREE_MARKS:
            raise LoadRefused("A part of the file unpacks to far more than a document needs and is refused.")
        try:
            root = etree.fromstring(raw, _parser(etree.XMLParser))
        except (etree.XMLSyntaxError, ValueError):
            raise Damaged(name) from None
        if root is None:
            raise Damaged(name)
        return root

    def stream(self, name: str, is_block: Callable[[Any], bool], tags: tuple[str, ...]) -> Iterator[Any]:
        """The blocks of a part in order, each forgotten when the next is asked for.

        Args:
            name: The part.
            is_block: Whether an element that has ended is a block; asked of those in `tags` only, before those around.
            tags: Names without namespace.

        Raises:
            Damaged: no such part, or not well-formed.
            LoadRefused: a block is too large, or there are too many.
        """
        from lxml import etree

        parser = _parser(etree.XMLPullParser, events=("end",), tag=tuple(f"{{*}}{tag}" for tag in tags))
        since = blocks = 0
        try:
            with self._archive.open(name) as part:
                while piece := part.read(PIECE):
                    parser.feed(piece)
                    since += len(piece)
                    for _, element in parser.read_events():
                        if is_block(element):
                            since, blocks = 0, blocks + 1
                            yield element
                            _forget(element)
                    if blocks > MAX_BLOCKS:
                        raise LoadRefused("The file holds more paragraphs and rows than can be read: split it.")
                    if since > MAX_BLOCK_BYTES:
                        raise LoadRefused("The file holds a paragraph or row that is far too large and is refused.")
            parser.close()
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, etree.XMLSyntaxError):
            raise Damaged(name) from None

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: by id the kind and the other part's name, or the address when it lies outside.

        Kinds are the last word of their addresses, e.g. `slide`; of what lies outside they begin with `external:`.
        """
        folder, _, name = part.rpartition("/")
        listing = f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"
        if listing not in self.names:
            return {}
        found: dict[str, tuple[str, str]] = {}
        for each in self.tree(listing):
            if local(each) != "Relationship":
                continue
            key, target = each.get("Id") or "", each.get("Target") or ""
            kind = (each.get("Type") or "").rpartition("/")[2]
            if (each.get("TargetMode") or "").lower() == "external":
                found[key] = (f"external:{kind}", target)
            else:
                found[key] = (kind, resolve(folder, target))
        return found

    def main_part(self, folder: str, usual: str) -> str:
        """The part that the others hang from. Raises LoadRefused-worthy Damaged when it lies in another folder."""
        for kind, target in self.relations("").values():
            if kind == "officeDocument":
                if target.startswith(folder) and target in self.names:
                    return target
                raise Damaged(target)
        return usual


def resolve(folder: str, target: str) -> str:
    """The name of a part out of an address inside the archive."""
    target = unquote(target.partition("#")[0])
    joined = target if target.startswith("/") else posixpath.join("/", folder, target)
    return posixpath.normpath(joined).lstrip("/")


def _parser(kind: Any, **more: Any) -> Any:
    return kind(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        **more,
    )


def _forget(element: Any) -> None:
    above = element.getparent()
    element.clear()
    if above is not None:
        while element.getprevious() is not None:
            del above[0]
