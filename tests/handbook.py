"""Makes the real PDF that end-to-end tests upload: more than 30 pages with headings, prose and tables."""

from __future__ import annotations

import io

PAGES = 34
FACTS = {
    3: "Annual leave: every employee has 27 days of paid holiday per year, plus public holidays.",
    7: "Remote work: up to three days per week may be worked from home after the probation period of four months.",
    12: "Travel expenses: hotel costs are reimbursed up to 140 euros per night; receipts are due within 30 days.",
    19: "Security: lost badges must be reported to the front desk within two hours of noticing the loss.",
    26: "Parental leave: both parents may take up to fourteen months, of which two are reserved for each parent.",
    31: "The canteen in Building C is closed on the first Friday of every month for deep cleaning.",
}
"""Page number -> the one sentence that stands only there."""


def handbook_pdf() -> bytes:
    """A staff handbook of 34 pages; `FACTS` says which page holds which fact."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    story = []
    for page in range(1, PAGES + 1):
        story.append(Paragraph(f"Chapter {page}: {_topic(page)}", styles["Heading1"]))
        story.append(Spacer(1, 0.4 * cm))
        story += [Paragraph(_filler(page, n), styles["BodyText"]) for n in range(3)]
        if page in FACTS:
            story.append(Paragraph(FACTS[page], styles["BodyText"]))
        if page % 5 == 0:
            rows = [["Item", "Quantity", "Price"]] + [
                [f"Part {page}-{i}", str(i * 3), f"{i * 7}.50"] for i in range(1, 6)
            ]
            story.append(Table(rows))
        story.append(PageBreak())
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title="Staff handbook", invariant=1).build(story)
    return out.getvalue()


TOPICS = [
    "Welcome", "Our history", "Holidays", "Working hours", "Payroll", "Onboarding", "Remote work", "Equipment",
    "Meetings", "Tools and parts", "Training", "Travel", "Company cars", "Insurance", "Stock list", "Feedback",
    "Mentoring", "Events", "Security", "Spare parts", "Data protection", "Photography", "Visitors", "Parking",
    "Inventory", "Parental leave", "Sabbaticals", "Volunteering", "Recycling", "Supplies", "Canteen", "Energy",
    "Leaving", "Contacts",
]  # fmt: skip


def _topic(page: int) -> str:
    return TOPICS[page - 1]


def _filler(page: int, n: int) -> str:
    topic = _topic(page).lower()
    sentences = [
        f"This part of the handbook introduces the chapter on {topic} and explains why it matters to all colleagues.",
        f"Questions about {topic} go to the people team, who keep these pages up to date and review them each spring.",
        f"Nothing in the section on {topic} replaces the signed contract; where they differ, the contract counts.",
    ]
    return sentences[n]
