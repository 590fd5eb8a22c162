"""Presentations, slide by slide: the title as heading, text in reading order, tables, and the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.markdown_text import Blocks, heading, item, one_line, paragraph
from backend.loaders.office import OLE, ZIP, Damaged, Package, attribute, child, local, refuse_old, refuse_unsafe
from backend.loaders.port import LoadRefused
from backend.loaders.pptx_shapes import (
    TITLES,
    Places,
    Shape,
    body_of,
    places_of,
    plain_text,
    shapes_of,
    table_text,
    text_blocks,
)
from backend.models.documents import PageText

MAX_SLIDES = 1000
DAMAGED = "The presentation is damaged and cannot be read: save it again as .pptx and upload the new file."
OTHER = "The file is named like a presentation but is something else."


class PptxLoader:
    name = "pptx"
    extensions = (".pptx", ".ppsx")
    content_type = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith((ZIP, OLE))

    def page_count(self, path: Path) -> int | None:
        _check(path)
        try:
            with Package(path) as package:
                return len(_slides(package))
        except (Damaged, RecursionError):
            raise LoadRefused(DAMAGED) from None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text a slide, in the order in which they are shown, hidden ones included."""
        _check(path)
        try:
            with Package(path) as package:
                layouts: dict[str, Places] = {}
                for number, part in enumerate(_slides(package), 1):
                    yield PageText(number, _slide(package, part, layouts), "slide", form="markdown")
        except (Damaged, RecursionError):
            raise LoadRefused(DAMAGED) from None


def _check(path: Path) -> None:
    refuse_old(path, "a presentation", ".pptx")
    refuse_unsafe(path, None, "a presentation")


def _slides(package: Package) -> list[str]:
    """The parts of the slides in order."""
    if not any(name.startswith("ppt/") for name in package.names):
        raise LoadRefused(OTHER)
    main = package.main_part("ppt/", "ppt/presentation.xml")
    relations = package.relations(main)
    listed = child(package.tree(main), "sldIdLst")
    found: list[str] = []
    for each in listed if listed is not None else ():
        key = next((value for name, value in each.attrib.items() if name.endswith("}id")), "")
        kind, target = relations.get(key, ("", ""))
        if kind == "slide" and target in package.names:
            found.append(target)
    if len(found) > MAX_SLIDES:
        raise LoadRefused(f"The presentation has {len(found)} slides and at most {MAX_SLIDES} are allowed: split it.")
    return found


def _slide(package: Package, part: str, layouts: dict[str, Places]) -> str:
    relations = package.relations(part)
    targets = {kind: target for kind, target in relations.values() if target in package.names}
    links = {key: target for key, (kind, target) in relations.items() if kind == "external:hyperlink"}
    blocks = Blocks()
    diagrams = {key: target for key, (kind, target) in relations.items() if kind == "diagramData"}
    tree = _shape_tree(package.tree(part))
    for shape in shapes_of(tree, _layout(package, targets.get("slideLayout"), layouts)) if tree is not None else ():
        _write(blocks, shape, links, package, diagrams)
    notes = _notes(package, targets.get("notesSlide"))
    if notes.strip():
        blocks.add(heading(2, "Notes"))
        for line in notes.split("\n"):
            blocks.add(paragraph(line))
    return blocks.text()


def _shape_tree(root: Any) -> Any | None:
    common = child(root, "cSld")
    return child(common, "spTree") if common is not None else None


def _layout(package: Package, part: str | None, layouts: dict[str, Places]) -> Places:
    """Where the layout puts placeholders, and where it leaves that to the master, the master."""
    if part is None:
        return {}
    if part not in layouts:
        master = dict(package.relations(part).values()).get("slideMaster")
        above = places_of(package.tree(master)) if master in package.names and master is not None else {}
        layouts[part] = {**above, **places_of(package.tree(part))}
    return layouts[part]


def _write(blocks: Blocks, shape: Shape, links: dict[str, str], package: Package, diagrams: dict[str, str]) -> None:
    body = body_of(shape.element)
    if shape.kind == "table":
        blocks.add(table_text(shape.element))
    elif shape.kind == "diagram":
        for text in _diagram(package, shape.element, diagrams):
            blocks.add(item(0, "-", text), is_item=True)
    elif shape.kind in TITLES:
        blocks.add(heading(1, one_line(plain_text(body))))
    elif body is not None:
        for text, is_item in text_blocks(body, shape.kind, links):
            blocks.add(text, is_item=is_item)


def _diagram(package: Package, frame: Any, diagrams: dict[str, str]) -> Iterator[str]:
    """The words of a drawn diagram (SmartArt), which stand in a part of their own."""
    found = next(frame.iter("{*}relIds"), None)
    part = diagrams.get(attribute(found, "dm") or "") if found is not None else None
    if part is None or part not in package.names:
        return
    for point in package.tree(part).iter("{*}pt"):
        text = one_line(" ".join(word.text or "" for word in point.iter("{*}t")))
        if text:
            yield text


def _notes(package: Package, part: str | None) -> str:
    tree = _shape_tree(package.tree(part)) if part is not None else None
    if tree is None:
        return ""
    bodies = [shape for shape in shapes_of(tree, {}) if shape.kind == "body" and local(shape.element) == "sp"]
    return "\n".join(plain_text(body_of(shape.element)) for shape in bodies)


LOADER = PptxLoader()
