"""The shapes of a slide: what they say, and the order in which a person would read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.loaders.markdown_text import item, link, one_line, paragraph, table
from backend.loaders.office import attribute, child, local, number_of

TITLES = frozenset({"title", "ctrTitle"})
FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})
"""Dates, footers and numbers, which are the same on every slide."""
MAX_SHAPES = 2000
MAX_CUTS = 40

Place = tuple[float, float, float, float]
"""Left, top, width, height; in any unit."""
Places = Mapping[tuple[str, str], Place]
"""Where the layout of a slide puts its placeholders, by kind and index."""
NOWHERE: Place = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """`kind` is that of its placeholder, e.g. `title`; `text` for a box of its own, `table`, or `diagram`."""

    element: Any
    kind: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Frame:
    """How the inside of a group is laid over the slide."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def of(self, place: Place) -> Place:
        left, top, width, height = place
        return (
            self.left + left * self.scale_x, self.top + top * self.scale_y, width * self.scale_x, height * self.scale_y,
        )  # fmt: skip


def shapes_of(tree: Any, layout: Places) -> list[Shape]:
    """The shapes of a slide that can hold text, groups resolved, in reading order: the title first."""
    found: list[Shape] = []
    for shape in _walk(tree, layout, _Frame()):
        found.append(shape)
        if len(found) >= MAX_SHAPES:
            break
    titles = [shape for shape in found if shape.kind in TITLES]
    return titles + in_reading_order([shape for shape in found if shape.kind not in TITLES])


def places_of(tree: Any) -> dict[tuple[str, str], Place]:
    """Where a layout puts its placeholders."""
    places: dict[tuple[str, str], Place] = {}
    for each in tree.iter("{*}sp"):
        holder, place = _placeholder(each), _place(each)
        if holder is not None and place is not None:
            places[holder] = place
            places.setdefault(("", holder[1]), place)
            places.setdefault((holder[0], ""), place)
    return places


def _walk(container: Any, layout: Places, frame: _Frame) -> Iterator[Shape]:
    for each in container:
        name = local(each)
        if name == "grpSp":
            yield from _walk(each, layout, _group_frame(each, frame))
        elif name == "AlternateContent":
            if len(each):
                yield from _walk(each[0], layout, frame)
        elif name == "sp":
            holder = _placeholder(each)
            kind = "text" if holder is None else holder[0]
            if kind in FURNITURE:
                continue
            place = _place(each)
            if place is None and holder is not None:
                place = layout.get(holder) or layout.get(("", holder[1])) or layout.get((kind, ""))
            yield Shape(each, kind, frame.of(place or NOWHERE))
        elif name == "graphicFrame":
            kind = "table" if next(each.iter("{*}tbl"), None) is not None else "diagram"
            yield Shape(each, kind, frame.of(_place(each) or NOWHERE))


def _placeholder(shape: Any) -> tuple[str, str] | None:
    about = next((each for each in shape if local(each).startswith("nv")), None)
    inner = child(about, "nvPr") if about is not None else None
    holder = child(inner, "ph") if inner is not None else None
    return None if holder is None else (holder.get("type") or "obj", holder.get("idx") or "0")


def _place(shape: Any, at: tuple[str, str] = ("off", "ext")) -> Place | None:
    inside = shape if local(shape) == "graphicFrame" else child(shape, "spPr")
    if inside is None:
        inside = child(shape, "grpSpPr")
    where = child(inside, "xfrm") if inside is not None else None
    corner = child(where, at[0]) if where is not None else None
    extent = child(where, at[1]) if where is not None else None
    if corner is None or extent is None:
        return None
    values = [
        number_of(each, -(10**9), 10**9)
        for each in (corner.get("x"), corner.get("y"), extent.get("cx"), extent.get("cy"))
    ]
    return (
        None
        if None in values
        else (float(values[0] or 0), float(values[1] or 0), float(values[2] or 0), float(values[3] or 0))
    )


def _group_frame(group: Any, outer: _Frame) -> _Frame:
    outside, inside = _place(group), _place(group, ("chOff", "chExt"))
    if outside is None or inside is None or not inside[2] or not inside[3]:
        return outer
    scale_x, scale_y = outside[2] / inside[2], outside[3] / inside[3]
    left, top, _, _ = outer.of((outside[0] - inside[0] * scale_x, outside[1] - inside[1] * scale_y, 0, 0))
    return _Frame(outer.scale_x * scale_x, outer.scale_y * scale_y, left, top)


def in_reading_order(shapes: list[Shape], cuts: int = MAX_CUTS) -> list[Shape]:
    """Row by row where an empty strip runs across, else column by column where one runs down.

    The recursive X-Y cut of Nagy and Seth (1984).
    """
    if len(shapes) < 2 or not cuts:
        return sorted(shapes, key=lambda shape: (shape.place[1], shape.place[0]))
    for axis in (1, 0):
        groups = _cut(shapes, axis)
        if len(groups) > 1:
            return [shape for group in groups for shape in in_reading_order(group, cuts - 1)]
    return sorted(shapes, key=lambda shape: (shape.place[1], shape.place[0]))


def _cut(shapes: list[Shape], axis: int) -> list[list[Shape]]:
    """Groups that do not overlap along an axis: 0 is from left to right, 1 from top to bottom."""
    groups: list[list[Shape]] = []
    reached = 0.0
    for shape in sorted(shapes, key=lambda each: each.place[axis]):
        start, length = shape.place[axis], shape.place[axis + 2]
        if not groups or start >= reached:
            groups.append([])
            reached = start
        groups[-1].append(shape)
        # Boxes are drawn a little larger than their text: a slight overlap is none.
        reached = max(reached, start + 0.9 * length)
    return groups


def body_of(shape: Any) -> Any | None:
    return child(shape, "txBody")


def plain_text(body: Any | None) -> str:
    """The paragraphs of a text body, a line each."""
    if body is None:
        return ""
    return "\n".join(_words(each, {}) for each in body if local(each) == "p").strip()


def text_blocks(body: Any, kind: str, links: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Blocks of Markdown, each with whether it is an item of a list."""
    paragraphs = [each for each in body if local(each) == "p"]
    texts = [_words(each, links) for each in paragraphs]
    several = sum(bool(text.strip()) for text in texts) > 1
    counts: dict[int, int] = {}
    for each, text in zip(paragraphs, texts, strict=True):
        if not text.strip():
            continue
        properties = child(each, "pPr")
        depth = number_of(properties.get("lvl"), 0, 8) or 0 if properties is not None else 0
        bullet = _bullet(properties)
        if bullet == "buAutoNum":
            counts = {level: count for level, count in counts.items() if level <= depth}
            counts[depth] = counts.get(depth, 0) + 1
            yield item(depth, f"{counts[depth]}.", text), True
            continue
        counts.clear()
        by_layout = kind in ("body", "obj") and (several or depth > 0)
        if bullet in ("buChar", "buBlip") or (bullet != "buNone" and (by_layout or depth > 0)):
            yield item(depth, "-", text), True
        else:
            yield paragraph(text), False


def _bullet(properties: Any | None) -> str:
    names = ("buNone", "buChar", "buAutoNum", "buBlip")
    return next((local(each) for each in properties if local(each) in names), "") if properties is not None else ""


def _words(element: Any, links: Mapping[str, str]) -> str:
    parts: list[str] = []
    for each in element:
        name = local(each)
        if name == "br":
            parts.append("\n")
        elif name in ("r", "fld"):
            words = child(each, "t")
            about = child(each, "rPr")
            target = child(about, "hlinkClick") if about is not None else None
            address = links.get(attribute(target, "id") or "", "") if target is not None else ""
            parts.append(link((words.text or "") if words is not None else "", address))
        elif name != "pPr":
            parts.extend(word.text or "" for word in each.iter("{*}t"))
    return "".join(parts)


def table_text(frame: Any) -> str:
    """A pipe table; a merged cell stands once."""
    rows: list[list[str]] = []
    for row in next(frame.iter("{*}tbl")):
        if local(row) != "tr":
            continue
        cells = [each for each in row if local(each) == "tc"]
        goes_on = ("1", "true")
        rows.append(
            [
                ""
                if cell.get("hMerge") in goes_on or cell.get("vMerge") in goes_on
                else one_line(plain_text(body_of(cell)))
                for cell in cells
            ]
        )
    return table(rows)
