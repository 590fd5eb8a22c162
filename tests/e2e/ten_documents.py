"""Ten real documents of different kinds, each with one fact that stands nowhere else, for asking about them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class Made:
    """`place` is what the source's card says of where the passage stands, `marked` is part of what is marked there.

    `marked` is None for a PDF, whose page is a picture.
    """

    filename: str
    make: Callable[[], bytes]
    question: str
    fact: str
    place: str
    marked: str | None


def survey_pdf() -> bytes:
    """Two columns, two pages; the fact is in the right column of the second."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, PageBreak, PageTemplate, Paragraph, Spacer

    styles = getSampleStyleSheet()
    out = io.BytesIO()
    report = BaseDocTemplate(out, pagesize=A4, title="Wetland survey")
    width, height = A4
    column = (width - 5 * cm) / 2
    frames = [Frame(2 * cm + at * (column + cm), 2 * cm, column, height - 4 * cm, id=f"c{at}") for at in (0, 1)]
    report.addPageTemplates([PageTemplate(frames=frames)])

    def text(words: str, style: str = "BodyText") -> Paragraph:
        return Paragraph(words, styles[style])

    story = [
        text("Wetland survey of the lower valley", "Heading1"),
        text("Method", "Heading2"),
        *(text(_METHOD.format(n=n)) for n in range(1, 7)),
        FrameBreak(),
        text("Water level", "Heading2"),
        *(text(_LEVEL.format(n=n)) for n in range(1, 6)),
        PageBreak(),
        text("Waders", "Heading2"),
        *(text(_WADERS.format(n=n)) for n in range(1, 5)),
        FrameBreak(),
        text("Birds of prey", "Heading2"),
        text("The reed beds were entered only twice, so as to leave the nests in peace."),
        Spacer(1, 6),
        text(
            "At Lake Velden 43 breeding pairs of the marsh harrier were counted in May, the highest number since "
            "the survey began."
        ),
        text("Ospreys passed through in April and did not stay."),
    ]
    report.build(story)
    return out.getvalue()


_METHOD = (
    "Transect {n} follows the old dike for some two kilometres and was walked at dawn on three days, always by the "
    "same two observers, who noted wind and cloud beside every sighting."
)
_LEVEL = "Gauge {n} was read weekly; the water stood a little lower than in the wet years before, though nowhere dry."
_WADERS = "Meadow {n} held lapwings and redshanks, which profit from the late mowing that was agreed with the farmers."


def tariff_pdf() -> bytes:
    """Prose on the first page, a ruled table on the second."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    styles = getSampleStyleSheet()
    rows = [
        ["Route", "Adult", "Child", "Car"],
        ["Kielstad to Nordhavn", "38.50 euros", "19.00 euros", "112.00 euros"],
        ["Kielstad to Ostrup", "27.00 euros", "13.50 euros", "84.00 euros"],
        ["Nordhavn to Ostrup", "21.20 euros", "10.60 euros", "69.00 euros"],
    ]
    table = Table(rows, style=TableStyle([("GRID", (0, 0), (-1, -1), 0.7, colors.black)]))
    story = [
        Paragraph("Ferry tariff", styles["Heading1"]),
        Paragraph("Tickets are valid for one crossing on the day that is printed on them.", styles["BodyText"]),
        Paragraph("Dogs travel free of charge, bicycles for four euros.", styles["BodyText"]),
        PageBreak(),
        Paragraph("Fares by route", styles["Heading2"]),
        Spacer(1, 12),
        table,
        Spacer(1, 12),
        Paragraph("Groups of ten and more get a tenth off.", styles["BodyText"]),
    ]
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title="Ferry tariff").build(story)
    return out.getvalue()


def allotment_docx() -> bytes:
    from docx import Document

    made = Document()
    made.add_heading("Allotment rules", 0)
    made.add_paragraph("These rules hold for all plots of the society from this season on.")
    made.add_heading("Sheds", 1)
    made.add_paragraph("A shed may cover at most six square metres and needs the consent of the neighbours.")
    made.add_heading("Water", 1)
    made.add_paragraph(
        "The allotment water pump is switched off on 15 November and started again after the last frost."
    )
    made.add_paragraph("Hoses are rolled up after use.", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ("Plot size", "Yearly rent", "200 square metres", "96 euros"), strict=True):
        cell.text = words
    return _saved(made)


def solar_pptx() -> bytes:
    from pptx import Presentation

    made = Presentation()
    slides = [
        ("Solar roof for the school", ["Kick-off meeting"]),
        ("Why now", ["Energy prices have doubled", "The roof was renewed last year"]),
        ("Who does what", ["The town pays", "The parents' council reports"]),
        ("Schedule", ["Installation of the 312 solar panels begins on 9 March", "First power in May"]),
        ("Risks", ["Late delivery of the inverters"]),
    ]
    for title, lines in slides:
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
    return _saved(made)


def stock_xlsx() -> bytes:
    from openpyxl import Workbook

    made = Workbook()
    first = made.active
    first.title = "Summary"
    first.append(["Warehouse", "Country"])
    for row in (("Turin", "Italy"), ("Ghent", "Belgium"), ("Malmo", "Sweden")):
        first.append(row)
    third = made.create_sheet("Third quarter")
    third.append(["Warehouse", "Pallets in stock", "Manager"])
    for line in (("Turin", 1284, "Bianchi"), ("Ghent", 905, "Maes"), ("Malmo", 640, "Lindqvist")):
        third.append(line)
    return _saved(made)


def museum_html() -> bytes:
    return b"""<!doctype html><html lang="en"><head><title>Visiting the clock museum</title>
<script>document.body.textContent = "never"</script></head><body><nav><a href="/">Home</a></nav><main>
<h1>Visiting the clock museum</h1><p>The museum stands behind the old station and shows clocks of six centuries.</p>
<h2>Guided tours</h2><p>The astronomical clock of the museum strikes only at 11:40, and the tour waits for it.</p>
<h2>Tickets</h2><ul><li>Adults pay nine euros.</li><li>Pupils come in free.</li></ul>
</main></body></html>"""


def lighthouse_epub() -> bytes:
    """Three chapters in a valid container; the fact is in the third."""
    chapters = {
        "The tower": "The tower of Skerra was built from granite that had been brought over by sledge.",
        "The oil years": "For eighty years the lamp burnt rape oil, and the keeper climbed up every four hours.",
        "The new lens": "The Skerra lighthouse lens weighs 2,750 kilograms and turns on a bath of mercury.",
    }
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in (1, 2, 3))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in (1, 2, 3))
    links = "".join(f'<li><a href="c{n}.xhtml">{title}</a></li>' for n, title in enumerate(chapters, 1))
    xml = '<?xml version="1.0" encoding="utf-8"?>'
    page = (
        '{xml}<html xmlns="http://www.w3.org/1999/xhtml"{extra}><head><title>{title}</title></head>'
        "<body>{body}</body></html>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            f'{xml}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        book.writestr(
            "book.opf",
            f'{xml}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">skerra</dc:identifier><dc:title>The '
            "light of Skerra</dc:title><dc:language>en</dc:language></metadata><manifest>"
            '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
            f"{items}</manifest><spine>{spine}</spine></package>",
        )
        nav = f'<nav epub:type="toc"><ol>{links}</ol></nav>'
        extra = ' xmlns:epub="http://www.idpf.org/2007/ops"'
        book.writestr("nav.xhtml", page.format(xml=xml, extra=extra, title="Contents", body=nav))
        for number, (title, words) in enumerate(chapters.items(), 1):
            body = f"<h1>{title}</h1><p>{words}</p><p>The sea was rough for most of that year.</p>"
            book.writestr(f"c{number}.xhtml", page.format(xml=xml, extra="", title=title, body=body))
    return out.getvalue()


def kiln_markdown() -> bytes:
    return b"""# Kiln manual

The kiln stands in the yard and is booked in the office.

## Firing

| Clay | Cone | Hours |
|---|---|---|
| Earthenware | 04 | 8 |
| Stoneware | 6 | 11 |

### Cooling

Porcelain must cool in the closed kiln for 26 hours before the door is opened.

## Cleaning

Shelves are brushed after *every* firing.
"""


def tide_python() -> bytes:
    head = '"""Reads tide tables from harbour offices."""\n\nfrom __future__ import annotations\n\nimport json\n\n\n'
    parse = "\n".join(
        f'def parse_column_{n}(row: list[str]) -> float:\n    """Column {n} of a row as metres."""\n'
        f"    return float(row[{n}])\n\n"
        for n in range(1, 9)
    )
    tail = (
        "\nclass TideClient:\n"
        '    """Asks one harbour office.\n\n'
        "    The tide client gives up after 17 seconds without an answer from the harbour office.\n"
        '    """\n\n'
        "    patience = 17.0\n\n"
        "    def next_high_water(self, text: str) -> float:\n"
        '        return float(json.loads(text)["high"])\n'
    )
    return (head + parse + tail).encode()


def rehearsal_eml() -> bytes:
    mail = EmailMessage()
    mail["From"] = "Clara Oberg <clara@choir.example>"
    mail["To"] = "choir@choir.example"
    mail["Subject"] = "Rehearsal of the requiem"
    mail["Date"] = "Mon, 02 Mar 2026 09:30:00 +0100"
    mail.set_content(
        "Dear all,\n\nthe rehearsal of the requiem is moved to Thursday at 18:45 in room B12, as the hall is being "
        "painted.\n\nPlease bring a pencil.\n\nClara\n"
    )
    return mail.as_bytes()


def _saved(made: object) -> bytes:
    out = io.BytesIO()
    made.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


TEN = (
    Made(
        "Wetland survey.pdf",
        survey_pdf,
        "How many breeding pairs of the marsh harrier were counted at Lake Velden?",
        "43",
        "Page 2",
        None,
    ),
    Made(
        "Ferry tariff.pdf",
        tariff_pdf,
        "According to the ferry tariff, what is the adult fare from Kielstad to Nordhavn?",
        "38.50",
        "Page 2",
        None,
    ),
    Made(
        "Allotment rules.docx",
        allotment_docx,
        "When is the allotment water pump switched off?",
        "15 November",
        "",
        "15 November",
    ),
    Made(
        "Solar roof.pptx",
        solar_pptx,
        "When does the installation of the 312 solar panels begin?",
        "9 March",
        "Slide 4",
        "9 March",
    ),
    Made("Stock.xlsx", stock_xlsx, "Who is the manager of the Ghent warehouse?", "Maes", "Sheet Third quarter", "Maes"),
    Made(
        "Clock museum.html", museum_html, "When does the astronomical clock of the museum strike?", "11:40", "", "11:40"
    ),
    Made(
        "The light of Skerra.epub",
        lighthouse_epub,
        "How much does the Skerra lighthouse lens weigh?",
        "2,750",
        "Chapter 3, The new lens",
        "2,750",
    ),
    Made(
        "Kiln manual.md",
        kiln_markdown,
        "How long must porcelain cool in the closed kiln?",
        "26 hours",
        "Line 14",
        "26 hours",
    ),
    Made(
        "tides.py",
        tide_python,
        "After how many seconds without an answer does the tide client give up?",
        "17",
        "Line 51",
        "17 seconds",
    ),
    Made("Rehearsal.eml", rehearsal_eml, "To what time is the rehearsal of the requiem moved?", "18:45", "", "18:45"),
)
