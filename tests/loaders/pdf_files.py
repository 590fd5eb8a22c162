"""Makes the PDFs that the tests read: laid out with reportlab, or written by hand where they are to be bad."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from typing import Any

LOREM = (
    "The committee has reviewed the measurements of the past season and found that the evaporation of the reservoir"
    " was larger than expected. Further observations are therefore necessary before a conclusion about the long-term"
    " behaviour can be drawn by the responsible authorities. "
)
HELLO = b"BT /F1 12 Tf 72 700 Td (Hello there) Tj ET"
DEJAVU = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def flowing(story: list[Any]) -> bytes:
    """Flowables one below the other on A4 pages."""
    from reportlab.platypus import SimpleDocTemplate

    out = io.BytesIO()
    SimpleDocTemplate(out, invariant=1).build(story)
    return out.getvalue()


def paragraph(text: str, style: str = "BodyText") -> Any:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph

    return Paragraph(text, getSampleStyleSheet()[style])


def drawn(*pages: Callable[[Any], None], **options: Any) -> bytes:
    """Pages of a canvas, each drawn by its function."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, **options)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def lines(canvas: Any, texts: list[str], x: float = 72, y: float = 740, size: float = 11, step: float = 14) -> float:
    """Draw texts below each other; the place after the last one."""
    canvas.setFont("Helvetica", size)
    for text in texts:
        canvas.drawString(x, y, text)
        y -= step
    return y


def wrapped(canvas: Any, text: str, x: float, y: float, width: float, size: float = 10) -> float:
    from reportlab.lib.utils import simpleSplit

    return lines(canvas, simpleSplit(text, "Helvetica", size, width), x, y, size, 1.3 * size)


def two_columns() -> bytes:
    """A title and an abstract over both columns, and sections with a table in one of them."""
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, PageTemplate, Paragraph, Table

    justified = ParagraphStyle("justified", parent=getSampleStyleSheet()["BodyText"], alignment=4)
    frames = [Frame(57, 630, 480, 150), Frame(57, 57, 230, 560), Frame(306, 57, 230, 560)]
    out = io.BytesIO()
    document = BaseDocTemplate(out, invariant=1)
    document.addPageTemplates([PageTemplate("page", frames)])
    story: list[Any] = [paragraph("Evaporation of Reservoirs", "Title"), Paragraph(f"Abstract. {LOREM}", justified)]
    story.append(FrameBreak())
    for number in (1, 2, 3):
        story.append(paragraph(f"{number}. Section of topic {number}", "Heading2"))
        story.append(Paragraph(f"Begin {number}. {LOREM * 2}End {number}.", justified))
        if number == 1:
            story.append(Table([["Site", "Depth", "Loss"], ["North", "12", "3.5"], ["South", "7", "4.1"]]))
    document.build(story)
    return out.getvalue()


def picture_of(texts: list[str], size: int = 30) -> Any:
    """A white A4 page at 150 dpi with the texts painted on it."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (1240, 1754), 255)
    draw = ImageDraw.Draw(image)
    for index, text in enumerate(texts):
        draw.text((120, 160 + 48 * index), text, font=ImageFont.truetype(DEJAVU, size), fill=0)
    return image


def scan(texts: list[str]) -> bytes:
    """A page that is only a picture, and one with text of its own."""
    from reportlab.lib.utils import ImageReader

    return drawn(
        lambda canvas: canvas.drawImage(ImageReader(picture_of(texts)), 0, 0, 595, 842),
        lambda canvas: lines(canvas, ["A page with text of its own after the scan."]),
    )


def written(objects: Mapping[int, bytes]) -> bytes:
    """A PDF of these objects, the first being its catalogue."""
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    places = {}
    for number, body in objects.items():
        places[number] = out.tell()
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start, count = out.tell(), max(objects) + 1
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % count)
    out.write(b"".join(b"%010d 00000 n \n" % places.get(number, 0) for number in range(1, count)))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (count, start))
    return out.getvalue()


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def packed(content: bytes) -> bytes:
    return stream(zlib.compress(content, 9), b"/Filter /FlateDecode ")


def one_page(content: bytes, **replaced: bytes) -> dict[int, bytes]:
    """The objects of a document of one page; `content` is that of its stream object, `replaced` by `o1`, `o2`…"""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        4: content,
        5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    return {**objects, **{int(name[1:]): body for name, body in replaced.items()}}


def with_form(content: bytes, **replaced: bytes) -> dict[int, bytes]:
    """A page that may draw the form of object 6 as /X."""
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /XObject << /X 6 0 R >> /Font << /F1 5 0 R >> >> >>"
    )
    return one_page(stream(content), o3=page, **replaced)


def form(content: bytes, inner: int) -> bytes:
    return stream(
        content,
        b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >> " % inner,
    )
