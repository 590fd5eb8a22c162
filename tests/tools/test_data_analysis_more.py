"""Workbooks, forms of numbers and dates, filters, groups, correlations and charts of the data analysis."""

from __future__ import annotations

import datetime as dt
import io
import random
import re
import statistics
import zipfile
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import openpyxl
import pytest

from backend.models.errors import WorkerFailed
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolResult
from backend.storage.document_store import DocumentStore
from backend.tools.data_analysis import Arguments, DataAnalysis
from backend.utils.chart_words import chart_named
from backend.workers.jobs.data_job import analyse
from backend.workers.jobs.data_job_svg import Chart, clean, draw, ticks
from backend.workers.port import Refusal
from tests.fakes.stores import FakeArtifacts
from tests.fakes.worker import InlineWorker
from tests.tools.test_data_analysis import Files

ALICE, BOB = Owner("default", "alice"), Owner("default", "bob")
SALES = (
    "date,region,product,units,revenue\n"
    "2024-01-01,North,A,10,100\n2024-02-01,South,A,20,180\n2024-03-01,North,B,5,75\n2024-04-01,South,B,40,420\n"
)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def artifacts() -> FakeArtifacts:
    return FakeArtifacts()


@pytest.fixture
def tool(files: Files, artifacts: FakeArtifacts) -> DataAnalysis:
    return DataAnalysis(InlineWorker(), cast(DocumentStore, files), artifacts)


def context(owner: Owner = ALICE, documents: tuple[str, ...] = ()) -> RunContext:
    return RunContext(owner, "run", None, "request", documents=documents)


def field(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in result["fields"] if each["name"] == name)


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def repacked(content: bytes, replace: dict[str, bytes]) -> bytes:
    """The archive with some of its parts put in anew."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in replace:
                new.writestr(name, old.read(name))
        for name, part in replace.items():
            new.writestr(name, part)
    return out.getvalue()


# ---- statistics and forms -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_random_numbers_have_the_statistics_of_the_standard_library(seed: int) -> None:
    rng = random.Random(seed)
    numbers = [round(rng.uniform(-1e6, 1e6), rng.randint(0, 6)) for _ in range(rng.randint(2, 300))]
    found = field(analyse(text="x,y\n" + "\n".join(f"{number},1" for number in numbers)), "x")
    q1, median, q3 = statistics.quantiles(numbers, n=4, method="inclusive")
    expected = {
        "sum": sum(numbers), "min": min(numbers), "max": max(numbers), "mean": statistics.mean(numbers),
        "median": median, "q1": q1, "q3": q3, "stdev": statistics.stdev(numbers),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-6), name
    assert found["distinct"] == len(set(numbers))


@pytest.mark.parametrize(
    ("cells", "total"),
    [
        pytest.param("1,5|2,345", 3.845, id="decimal-comma-decides-the-column"),
        pytest.param("1.200,50|999|1.000", 3199.5, id="dots-group-beside-decimal-commas"),
        pytest.param("1,234|2,000", 3234, id="commas-group-without-other-signs"),
        pytest.param("1,234.5|1.5", 1236, id="points-decide-the-column"),
        pytest.param("1'234.50|1", 1235.5, id="swiss"),
        pytest.param("1 234,5|2\u00a0000|3\u202f000", 6234.5, id="spaces-group"),
        pytest.param("1.234.567|1", 1234568, id="two-dots-group"),
        pytest.param("€ 1.234,50|2,50 €", 1237, id="money"),
        pytest.param("1|inf|-Infinity|NaN|#DIV/0!|2", 3, id="what-is-no-number-is-missing"),
    ],
)
def test_numbers_are_read_as_their_column_writes_them(cells: str, total: float) -> None:
    found = field(analyse(text="x\ty\n" + "\n".join(f"{cell}\tz" for cell in cells.split("|"))), "x")
    assert (found["type"], found["sum"]) == ("number", pytest.approx(total))


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ("2024-03-01|2023-12-31", "2023-12-31", "2024-03-01"),
        ("01.03.2024|31.12.2023", "2023-12-31", "2024-03-01"),
        ("3/1/2024|12/31/2023", "2023-12-31", "2024-03-01"),
        ("01/03/2024|31/12/2023", "2023-12-31", "2024-03-01"),
        ("2024/3/1|2023/12/31", "2023-12-31", "2024-03-01"),
    ],
)
def test_dates_of_any_usual_form_have_a_first_and_a_last(cells: str, low: str, high: str) -> None:
    found = field(analyse(text="d\ty\n" + "\n".join(f"{cell}\t1" for cell in cells.split("|"))), "d")
    assert (found["type"], found["min"], found["max"]) == ("date", low, high)


@pytest.mark.parametrize("cells", ["01/02/2024|03/04/2024", "31.02.2024|01.03.2024", "01.03.2024|soon"])
def test_what_may_be_two_dates_or_none_stays_text(cells: str) -> None:
    found = field(analyse(text="d\ty\n" + "\n".join(f"{cell}\t1" for cell in cells.split("|"))), "d")
    assert found["type"] == "text"


@pytest.mark.parametrize("number", ["1e308", "1e399", "-1e308", "9" * 300])
def test_up_4_huge_numbers_break_nothing(number: str) -> None:
    result = analyse(text=f'[{{"a": {number}, "b": 1}}, {{"a": {number}, "b": 2}}, {{"a": 1, "b": 3}}]', chart="bar")
    assert field(result, "a")["count"] == 3


@pytest.mark.parametrize("number", ["1e999999", "1e-999999", "1e99999999999999999999", "9" * 5000])
def test_up_4_numbers_beyond_reckoning_are_text(number: str) -> None:
    found = field(analyse(text=f'[{{"a": {number}}}, {{"a": "x"}}]'), "a")
    assert found["type"] == "text"


def test_up_4_a_giant_value_is_refused() -> None:
    with pytest.raises(Refusal, match="longer than 100,000 characters"):
        analyse(text='[{"a": "' + "x" * 100_001 + '"}]')


# ---- workbooks ----------------------------------------------------------------------------------


async def test_a_workbook_is_read_with_its_types(tool: DataAnalysis, files: Files) -> None:
    rows = [
        ["city", "price", "sold", "ok"],
        ["Bonn", 1.5, dt.datetime(2024, 1, 2), True],
        ["Ulm", 2, dt.datetime(2024, 3, 4), False],
        [None, None, None, None],
        ["Ulm", "#DIV/0!", None, True],
    ]
    files.add(ALICE, "f-1", "book.xlsx", workbook(Data=rows))
    result = await tool.run(Arguments(file="book.xlsx", question="average price per city"), context())
    types = {each["name"]: each["type"] for each in result.data["fields"]}
    assert types == {"city": "text", "price": "number", "sold": "date", "ok": "boolean"}
    assert (field(result.data, "sold")["min"], field(result.data, "price")["sum"]) == ("2024-01-02", 3.5)
    assert result.data["answer"].startswith("The mean of price per city: ")


async def test_a_sheet_is_chosen_by_name(tool: DataAnalysis, files: Files) -> None:
    files.add(ALICE, "f-1", "b.xlsx", workbook(Empty=[], One=[["a"], [1]], Two=[["b"], [5], [6]]))
    first = (await tool.run(Arguments(file="b.xlsx"), context())).data
    assert (first["sheet"], first["sheets"], first["rows"]) == ("One", ["Empty", "One", "Two"], 1)
    assert (await tool.run(Arguments(file="b.xlsx", sheet="two"), context())).data["rows"] == 2
    with pytest.raises(WorkerFailed, match="no sheet 'Three'; it has: Empty, One, Two"):
        await tool.run(Arguments(file="b.xlsx", sheet="Three"), context())


def test_up_4_formulas_are_read_as_values_and_never_worked_out(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(workbook(S=[["a", "b"], [1, '=WEBSERVICE("http://127.0.0.1/")'], [2, "=1+1"]]))
    assert field(analyse(path=str(path)), "b")["count"] == 0


def bomb() -> bytes:
    return repacked(workbook(S=[["a"], [1]]), {"xl/media/x.bin": b"\0" * 30_000_000})


def entities() -> bytes:
    sheet = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    return repacked(workbook(S=[["a"], [1]]), {"xl/worksheets/sheet1.xml": sheet})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(bomb, "unpacks to far more", id="bomb"),
        pytest.param(entities, "declares XML entities", id="entities"),
        pytest.param(lambda: workbook(S=[["a"], [1]])[:-200], "damaged", id="cut"),
        pytest.param(
            lambda: repacked(workbook(S=[["a"], [1]]), {"xl/worksheets/sheet1.xml": b"<x"}), "damaged", id="xml"
        ),
        pytest.param(lambda: workbook(S=[]), "no rows", id="empty"),
        pytest.param(lambda: workbook(S=[list(range(501))]), "more than 500 fields", id="columns"),
    ],
)
def test_up_4_a_bad_workbook_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content())
    with pytest.raises(Refusal, match=words):
        analyse(path=str(path))


def test_up_4_an_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(Refusal, match="named like an Excel workbook"):
        analyse(path=str(path))


# ---- filters, groups, correlations --------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("units > 10", 2),
        ("units >= 10 and region = north", 1),
        ("region != North", 2),
        ('product = "B"', 2),
        ("date < 2024-02-15", 2),
        ("region contains or", 2),
        ("units <> 5; revenue <= 180", 2),
    ],
)
def test_a_filter_chooses_rows(where: str, rows: int) -> None:
    assert analyse(text=SALES, where=where)["rows"] == rows


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("units > 1000", "No row has units > 1000"),
        ("nonsense", "is not understood"),
        ("colour = red", "no field 'colour' to filter by; there are: date, region"),
        (" and ".join(["units > 1"] * 6), "more than 5 conditions"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(where: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        analyse(text=SALES, where=where)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("total revenue where units is over 10", "Where units > 10: The sum of revenue is 600 (over 2 values)."),
        ("how many rows with units of at least 10?", "Where units >= 10: There are 3 rows."),
        ("Summe von revenue mit units unter 11", "Where units < 11: The sum of revenue is 175 (over 2 values)."),
        ("somme de revenue avec units plus de 10", "Where units > 10: The sum of revenue is 600 (over 2 values)."),
        ("how many rows with units over 1000?", "No row has units > 1000."),
    ],
)
def test_a_condition_in_the_question_chooses_rows(question: str, answer: str) -> None:
    assert analyse(text=SALES, question=question)["answer"] == answer


def test_groups_have_the_statistics_of_each_numeric_field() -> None:
    found = analyse(text=SALES, group_by="Region")["by_group"]
    assert (found["by"], found["total"], found["fields"]) == ("region", 2, ["units", "revenue"])
    north = next(group for group in found["groups"] if group["group"] == "North")
    assert north["count"] == 2
    assert north["fields"]["revenue"] == {
        "count": 2, "sum": 175, "min": 75, "max": 100, "mean": 87.5, "median": 87.5,
        "stdev": pytest.approx(statistics.stdev([100, 75])),
    }  # fmt: skip


async def test_a_given_group_counts_for_the_question_too(tool: DataAnalysis) -> None:
    result = await tool.run(Arguments(data=SALES, question="average revenue?", group_by="region"), context())
    assert result.text.startswith("The mean of revenue per region: North 87.5, South 300.")


@pytest.mark.parametrize(
    "question", ["revenue per region", "Summe von revenue je region", "somme de revenue par region"]
)
def test_a_group_is_recognised_in_the_question(question: str) -> None:
    groups = analyse(text=SALES, question=question)["groups"]
    assert {group["group"]: group["sum"] for group in groups} == {"North": 175, "South": 600}


async def test_groups_without_a_question_stand_in_a_table(tool: DataAnalysis) -> None:
    text = (await tool.run(Arguments(data=SALES, group_by="region"), context())).text
    assert "| region | rows | units sum | units mean | revenue sum | revenue mean |" in text
    assert "| North | 2 | 15 | 7.5 | 175 | 87.5 |" in text


def test_a_group_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="no field 'colour' to group by"):
        analyse(text=SALES, group_by="colour")


@pytest.mark.parametrize("gaps", [False, True])
def test_correlations_are_those_of_the_standard_library(gaps: bool) -> None:
    rng = random.Random(3)
    rows: list[tuple[float, float | None]] = []
    for _ in range(60):
        x = rng.uniform(-5, 5)
        rows.append((round(x, 4), None if gaps and rng.random() < 0.3 else round(2 * x + rng.gauss(0, 3), 4)))
    found = analyse(text="x,y\n" + "\n".join(f"{x},{'' if y is None else y}" for x, y in rows))["correlations"]
    both = [(x, y) for x, y in rows if y is not None]
    r = statistics.correlation([x for x, _ in both], [y for _, y in both])
    assert found["fields"] == ["x", "y"]
    assert found["matrix"][0][1] == found["matrix"][1][0] == pytest.approx(r)


def test_a_field_that_never_changes_correlates_with_nothing_and_20_fields_are_compared() -> None:
    found = analyse(text="a,b\n1,5\n2,5\n3,5")["correlations"]
    assert found["matrix"] == [[1, None], [None, None]]
    wide = (
        ",".join(f"c{n}" for n in range(25)) + "\n" + "\n".join(",".join(str(n * r) for n in range(25)) for r in "123")
    )
    assert len(analyse(text=wide)["correlations"]["matrix"]) == 20


@pytest.mark.parametrize(
    "question",
    ["correlation between units and revenue", "Korrelation von units und revenue", "corrélation units revenue"],
)
def test_a_correlation_is_told_when_asked_for(question: str) -> None:
    assert re.match(
        r"The correlation \(Pearson\) of units and revenue is 0\.99", analyse(text=SALES, question=question)["answer"]
    )


# ---- charts -------------------------------------------------------------------------------------


async def svg_of(result: ToolResult, artifacts: FakeArtifacts) -> ElementTree.Element:
    (link,) = result.files
    about, content = await artifacts.get(ALICE, link.id)
    assert (link.url, link.content_type, link.size) == (f"/api/artifacts/{link.id}", "image/svg+xml", len(content))
    assert (about.run_id, about.content_type) == ("run", "image/svg+xml")
    return harmless(content.decode())


def harmless(svg: str) -> ElementTree.Element:
    """Well-formed, and only shapes and text: nothing that runs or is fetched."""
    root = ElementTree.fromstring(svg)
    shapes = {"svg", "title", "style", "rect", "text", "line", "path", "circle", "g"}
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in shapes
        assert not any(name.lower().startswith("on") or "href" in name.lower() for name in element.attrib)
    assert "url(" not in svg and "@import" not in svg and "nan" not in re.findall(r'="([^"]*)"', svg)
    return root


@pytest.mark.parametrize("kind", ["bar", "line", "histogram", "scatter", "pie"])
async def test_a_chart_is_kept_for_its_owner_and_linked(
    tool: DataAnalysis, artifacts: FakeArtifacts, kind: str
) -> None:
    result = await tool.run(Arguments(data=SALES, chart=cast(Any, kind)), context())
    root = await svg_of(result, artifacts)
    assert (root.get("width"), root.get("height")) == ("640", "400")
    assert result.data["chart"]["kind"] == kind
    assert "svg" not in result.data["chart"]
    assert f"A {kind} chart of it is attached" in result.text


@pytest.mark.parametrize(
    ("question", "kind", "title"),
    [
        ("bar chart of revenue per region", "bar", "sum of revenue per region"),
        ("Zeichne ein Balkendiagramm: durchschnittliche revenue je region", "bar", "mean of revenue per region"),
        ("Diagramm revenue nach date", "line", "revenue by date"),
        ("graphique de revenue par region", "bar", "sum of revenue per region"),
        ("gráfico de units por product", "bar", "sum of units per product"),
        ("un grafico a torta di units per product", "pie", "sum of units per product"),
        ("histogram of revenue", "histogram", "Distribution of revenue"),
        ("scatter plot of revenue against units", "scatter", "revenue by units"),
        ("plot the number of rows per region", "bar", "Number of rows per region"),
    ],
)
async def test_a_chart_is_recognised_in_the_question(tool: DataAnalysis, question: str, kind: str, title: str) -> None:
    chart = (await tool.run(Arguments(data=SALES, question=question), context())).data["chart"]
    assert (chart["kind"], chart["title"]) == (kind, title)


@pytest.mark.parametrize("question", ["average revenue per region", "total of the bar", "which line is longest?", ""])
def test_a_question_without_a_chart_asks_for_none(question: str) -> None:
    assert chart_named(question) is None


async def test_a_chart_of_a_file_is_proposed(tool: DataAnalysis, files: Files) -> None:
    files.add(ALICE, "f-1", "sales.xlsx", workbook(S=[["region", "revenue"], ["North", 5], ["South", 7]]))
    (proposal,) = tool.propose(
        "Draw a bar chart of revenue by region in sales.xlsx", context(documents=("sales.xlsx",))
    )
    result = await tool.run(Arguments(**proposal.arguments), context())
    assert result.data["chart"]["title"] == "revenue per region"


async def test_given_fields_are_drawn_in_their_order(tool: DataAnalysis) -> None:
    arguments = Arguments(data=SALES, chart="scatter", chart_fields=["revenue", "units"])
    assert (await tool.run(arguments, context())).data["chart"]["title"] == "units by revenue"


async def test_iso_3_a_chart_belongs_to_its_owner(tool: DataAnalysis, artifacts: FakeArtifacts) -> None:
    await tool.run(Arguments(data=SALES, chart="bar"), context(BOB))
    assert {owner for owner, _ in artifacts.kept} == {BOB}


def test_inj_text_of_the_data_is_only_text_in_a_chart() -> None:
    evil = '</text><script>alert(1)</script><image href="http://x/"/>&\x08\u202e'
    text = f'[{{"{evil[:40]}": "{evil}", "n": 1}}, {{"{evil[:40]}": "b", "n": 2}}]'.replace('="', "='").replace(
        '/"/', "/'/"
    )
    for kind in ("bar", "pie", "line"):
        svg = analyse(text=text.replace("\x08", "\\b"), chart=kind)["chart"]["svg"]
        harmless(svg)
        assert "\u202e" not in svg


@pytest.mark.parametrize(
    ("text", "kind", "note"),
    [
        ("a,b\nx,y\nz,w", "histogram", "There is no chart: There is no numeric field for a histogram."),
        ("a,b\nx,1\nz,2", "scatter", "There is no chart: A scatter chart needs two numeric fields."),
        ("a,b\nx,-1\nz,2", "pie", "Shares need values above zero: bars are drawn instead of a pie."),
    ],
)
def test_a_chart_that_cannot_be_drawn_spoils_nothing(text: str, kind: str, note: str) -> None:
    result = analyse(text=text, chart=kind)
    assert (result["rows"], result["chart_note"]) == (2, note)


@pytest.mark.parametrize("kind", ["bar", "line", "histogram", "scatter", "pie"])
def test_up_4_a_chart_of_many_rows_stays_small(kind: str) -> None:
    rng = random.Random(1)
    rows = "\n".join(f"name {n},{rng.random():.5f},{n}" for n in range(6000))
    chart = analyse(text=f"k,x,y\n{rows}", chart=kind)["chart"]
    harmless(chart["svg"])
    assert len(chart["svg"]) < 120_000


@pytest.mark.parametrize("value", ["1", "0", "-5", "1e299", "1e-300", "10000000000000001"])
@pytest.mark.parametrize("kind", ["bar", "line", "histogram", "scatter"])
def test_odd_ranges_can_be_drawn(value: str, kind: str) -> None:
    result = analyse(text=f"x,y\n{value},1\n{value},1", chart=kind)
    harmless(result["chart"]["svg"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (0, 7, [0, 2, 4, 6, 8]), (-3, 3, [-3, -2, -1, 0, 1, 2, 3])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_a_gap_breaks_the_line_and_a_long_title_is_cut() -> None:
    chart = Chart("line", "t" * 200, x=[1.0, 2.0, 3.0, 4.0], series=[("s", [1.0, None, 2.0, 3.0])])
    root = harmless(draw(chart))
    (path,) = [each for each in root.iter() if each.tag.endswith("path")]
    assert path.get("d", "").count("M") == 2
    assert clean("t" * 200, 70) == "t" * 69 + "…"
