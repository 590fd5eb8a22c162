"""Text in any encoding, Markdown, source code and subtitles."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.code import LOADER as CODE
from backend.loaders.decoding import MAX_BYTES, decode, looks_like_text
from backend.loaders.markdown import LOADER as MARKDOWN
from backend.loaders.port import LoadRefused
from backend.loaders.subtitles import LOADER as SUBTITLES
from backend.loaders.text import LOADER as TEXT
from tests.loaders.reading import pages_of, text_of

SAID = {
    "russian": "Договор аренды заключён между сторонами в городе Москве. Плата вносится до пятого числа.",
    "german": "Die Kündigungsfrist beträgt drei Monate. Für Schäden haftet der Mieter, außer bei höherer Gewalt.",
    "french": "Le délai de préavis est de trois mois, hormis les dégâts causés par la tempête. L’été à Noël.",
    "spanish": "El alquiler se pagará el día cinco. La señora Muñoz es la dueña del piso y vive en Málaga.",
    "polish": "Umowa najmu została zawarta w Łodzi. Czynsz płatny jest do piątego dnia każdego miesiąca.",
    "czech": "Nájemní smlouva byla uzavřena v Praze. Nájemné je splatné do pátého dne každého měsíce a kauce činí dvě.",
    "greek": "Η σύμβαση μίσθωσης υπογράφηκε στην Αθήνα. Το ενοίκιο καταβάλλεται έως την πέμπτη ημέρα.",
    "hebrew": "חוזה השכירות נחתם בתל אביב. דמי השכירות ישולמו עד החמישי בכל חודש.",
    "arabic": "تم توقيع عقد الإيجار في القاهرة. يدفع الإيجار قبل اليوم الخامس من كل شهر.",
    "turkish": "Kira sözleşmesi İstanbul'da imzalandı. Kira bedeli her ayın beşine kadar ödenir. Ağaçlar güzel.",
    "japanese": "賃貸借契約は東京で締結された。家賃は毎月五日までに支払うものとする。カタカナもあります。",
    "chinese": "租赁合同在北京签订。租金应于每月五日前支付,押金为两个月的租金。",
    "taiwanese": "租賃合約在臺北簽訂。租金應於每月五日前支付,押金為兩個月的租金。",
    "korean": "임대차 계약은 서울에서 체결되었다. 월세는 매월 오일까지 지급하여야 한다.",
    "thai": "สัญญาเช่าลงนามที่กรุงเทพมหานคร ค่าเช่าต้องชำระภายในวันที่ห้าของทุกเดือน",
}
LEGACY = [
    ("russian", "cp1251"), ("russian", "koi8_r"), ("russian", "iso8859_5"), ("german", "cp1252"), ("french", "cp1252"),
    ("spanish", "cp1252"), ("polish", "cp1250"), ("polish", "iso8859_2"), ("czech", "cp1250"), ("greek", "cp1253"),
    ("hebrew", "cp1255"), ("arabic", "cp1256"), ("turkish", "cp1254"), ("japanese", "shift_jis"),
    ("japanese", "euc_jp"), ("japanese", "iso2022_jp"), ("chinese", "gb18030"), ("taiwanese", "big5"),
    ("korean", "euc_kr"), ("thai", "cp874"),
]  # fmt: skip
WIDE = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize(("language", "encoding"), LEGACY, ids=[f"{a}-{b}" for a, b in LEGACY])
def test_encodings_from_before_unicode_are_recognised(language: str, encoding: str) -> None:
    text = f"Contract 2024\n{SAID[language]}\n"
    raw = text.encode(encoding)
    assert looks_like_text(raw) and decode(raw) == text


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("language", ["german", "russian", "hebrew", "japanese", "chinese"])
def test_unicode_is_recognised_with_and_without_a_mark(language: str, encoding: str) -> None:
    text = f"{SAID[language]}\nContract 2024 👋\n"
    assert looks_like_text(text.encode(encoding)) and decode(text.encode(encoding)) == text


@pytest.mark.parametrize("text", ["naïve café", "Größe", "El señor", "£50 – “quoted”", "créée à Noël", "Smørrebrød"])
def test_a_few_letters_are_western(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


def test_long_legacy_text_is_judged_by_a_sample(tmp_path: Path) -> None:
    text = "\n".join(["plain English line"] * 20_000 + [SAID["russian"]] * 2_000)
    assert text_of(TEXT, tmp_path, text.encode("cp1251")) == text


@pytest.mark.parametrize(
    "head",
    [b"\x89PNG\r\n\x1a\n\x00", b"MZ\x90\x00", b"\x7fELF", b"PK\x03\x04", bytes(range(256)) * 30, b"ab\x00\x00\x00" * 99,
     b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
    ids=["png", "exe", "elf", "zip", "random", "zeros", "ole"],
)  # fmt: skip
def test_up_2_binary_content_is_no_text_whatever_its_name(head: bytes) -> None:
    assert not any(loader.accepts(head, loader.extensions[0]) for loader in (TEXT, MARKDOWN, CODE, SUBTITLES))


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        (b"", ""),
        (b"one\x00two" + b" three" * 40, "one two" + " three" * 40),
        (b"\xed\xa0\x80 lone" + b" half" * 30, None),
        ("\x1b[31mred\x1b[0m שלום 👋".encode(), "red שלום 👋"),
        (b"half \xe6\x9d", None),
        (b"\xff\xfea", None),
    ],
    ids=["empty", "nul", "surrogate-bytes", "colours", "half-a-character", "half-a-unit"],
)
def test_awkward_text_is_read(tmp_path: Path, raw: bytes, expects: str | None) -> None:
    text = text_of(TEXT, tmp_path, raw)
    text.encode()
    assert expects is None or text == expects


def test_one_endless_line_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for loader in (TEXT, MARKDOWN, CODE, SUBTITLES):
        with pytest.raises(LoadRefused, match="5 MiB"):
            list(loader.load(path))


def test_more_text_than_allowed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadRefused, match="5 MiB"):
        text_of(TEXT, tmp_path, b"x" * (5 * 1_048_576 + 1))


@pytest.mark.parametrize(
    ("source", "expects"),
    [
        ("Title\n=====\n\nPart\n----\ntext", "# Title\n\n\n## Part\n\ntext"),
        ("---\ntitle: Plan\n---\n# One", "```yaml\ntitle: Plan\n```\n# One"),
        ("text\n\n---\n\nmore", "text\n\n---\n\nmore"),
        ("```\nnot\n===\n```", "```\nnot\n===\n```"),
        ("a list:\n- item\n---\nend", "a list:\n- item\n---\nend"),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("two lines\nof text\n---", "two lines\nof text\n---"),
    ],
    ids=["underlined", "front-matter", "rule", "in-code", "list", "table", "paragraph"],
)
def test_markdown_keeps_its_lines(tmp_path: Path, source: str, expects: str) -> None:
    (page,) = pages_of(MARKDOWN, tmp_path, source.encode())
    assert page.form == "markdown" and page.text == expects
    assert page.text.count("\n") == source.count("\n")


@pytest.mark.parametrize("name", [".py", ".ts", ".sql", ".yaml", ".xml", ".svg", ".css", ".sh", ".rs", ".go"])
def test_source_code_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    source = "def f():\n\treturn '<script>'\n"
    (page,) = pages_of(CODE, tmp_path, source.encode())
    assert name in CODE.extensions and page.form == "code" and page.text == source
    assert CODE.content_type == "text/plain", "code is never handed out as something a browser runs"


def test_files_without_extension_are_known_by_name() -> None:
    assert {"dockerfile", "makefile", ".gitignore"} <= set(CODE.filenames)
    assert CODE.accepts(b"FROM debian\n", "") and not CODE.accepts(b"\x7fELF\x00", "")


def test_subtitles_say_when(tmp_path: Path) -> None:
    source = (
        "WEBVTT\n\nNOTE made by hand\n\n1\n00:00:01.000 --> 00:00:02.500 align:start\n<v Ada>Hello <b>you</b>\n\n"
        "2\n00:02.500 --> 00:04.000\nGood bye.\n"
    )
    assert text_of(SUBTITLES, tmp_path, source.encode()) == "[00:00:01] Ada: Hello you Good bye."
    long = "".join(f"{n}\n00:{n:02d}:00,000 --> 00:{n:02d}:09,000\n{'word ' * 30}end {n}.\n\n" for n in range(1, 7))
    assert [line[:10] for line in text_of(SUBTITLES, tmp_path, long.encode()).split("\n\n")] == [
        "[00:01:00]",
        "[00:04:00]",
    ]


def test_text_named_like_subtitles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadRefused, match="no times"):
        text_of(SUBTITLES, tmp_path, b"just text")
