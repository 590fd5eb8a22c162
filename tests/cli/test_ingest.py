"""`ingest`: folders become documents; what is there is skipped; every refusal is told with its reason."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import Services, build
from backend.cli import ingest
from backend.cli.ingest import Ingestion
from backend.cli.ingest_files import State, find
from backend.cli.ingest_report import Bar, Summary
from backend.cli.main import main, parser
from backend.config.settings import Settings
from backend.models.errors import InvalidRequest
from backend.models.run import Owner
from tests.fakes.embedder import HashEmbedder
from tests.server import ROOT

KINDS = {".txt", ".md"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have them."""
    folder = tmp_path / "papers"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "one.txt").write_text("The lighthouse was built in 1873.")
    (folder / "deep" / "two.md").write_text("# Two\n\nThe harbour has nine piers.")
    (folder / "deep" / "er" / "three.TXT").write_text("Three brothers built it.")
    (folder / ".hidden.txt").write_text("hidden")
    (folder / ".git" / "config.txt").write_text("hidden too")
    (folder / "tool.xyz").write_text("unknown")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("outside")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    return folder


def test_folders_are_read_whole_without_what_is_hidden_unknown_or_outside(folder: Path) -> None:
    found = find([folder], KINDS)
    assert [file.path.name for file in found.files] == ["one.txt", "two.md", "three.TXT"]
    assert (found.hidden, found.unknown, found.links) == (2, 1, 2)
    assert found.missing == []


def test_file_that_is_named_itself_is_taken_and_each_file_once(folder: Path) -> None:
    found = find([folder / "tool.xyz", folder / "one.txt", folder, Path("nowhere.txt")], KINDS)
    names = [file.path.name for file in found.files]
    assert names[0] == "tool.xyz" and names.count("one.txt") == 1
    assert found.missing == [Path("nowhere.txt")]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "files": {"a": {"x": 1}}}', b"\xff"])
def test_state_that_cannot_be_read_is_no_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert State(path).files == {}


def test_summary_names_every_refusal() -> None:
    summary = Summary(new=2, there=1, refused={"a.pdf": "It is damaged."}, skipped={"hidden": 3, "links": 0})
    assert summary.lines() == [
        "2 new, 1 there already, 1 refused; skipped: 3 hidden.",
        "refused a.pdf: It is damaged.",
    ]


def test_bar_is_drawn_on_a_terminal_and_lines_are_written_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, plain = Terminal(), io.StringIO()
    for out in (terminal, plain):
        bar = Bar(out)
        bar.show(1, 4, 10)
        bar.show(4, 4, 40, last=True)
    assert "\r[########......................] 1 of 4 files, 10 passages" in terminal.getvalue()
    assert plain.getvalue().splitlines() == ["1 of 4 files, 10 passages", "4 of 4 files, 40 passages"]


# ---- with services, but a fake embedder --------------------------------------------------------------


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setattr("backend.bootstrap.create_embedder", lambda *_: HashEmbedder())
    services = build(Settings(_env_file=None, data_dir=tmp_path / "data"))
    yield services
    await services.aclose()


ANNA = Owner("default", "anna-1")


def command(*arguments: object) -> argparse.Namespace:
    return parser().parse_args(["ingest", "--user", "anna", *map(str, arguments)])


async def ingested(services: Services, *arguments: object) -> Summary:
    ingestion = Ingestion(services.settings, services, ANNA, command(*arguments))
    await ingestion.work()
    ingestion.save()
    return ingestion.summary


async def names(services: Services) -> list[str]:
    documents, _ = await services.stores.documents.list_documents(ANNA, limit=100)
    return sorted(document.filename for document in documents if document.status == "ready")


async def test_second_call_finds_everything_there_and_a_renamed_copy_too(services: Services, folder: Path) -> None:
    first = await ingested(services, folder, "--collection", "Papers")
    assert (first.new, first.there, first.refused) == (3, 0, {})
    (folder / "copy.txt").write_text("The lighthouse was built in 1873.")
    again = await ingested(services, folder, "--collection", "Papers")
    assert (again.new, again.there, again.refused) == (0, 4, {})
    assert await names(services) == ["one.txt", "three.TXT", "two.md"]
    (collection,) = await services.stores.collections.list_collections(ANNA)
    assert collection.name == "Papers" and len(collection.files) == 3


async def test_refused_files_are_told_and_the_others_are_taken(services: Services, folder: Path) -> None:
    (folder / "bad.pdf").write_text("no pdf at all")
    (folder / "empty.txt").write_text("")
    (folder / "blank.txt").write_text("  \n ")
    summary = await ingested(services, folder, folder / "tool.xyz", folder / "nowhere.txt")
    reasons = {Path(path).name: reason for path, reason in summary.refused.items()}
    assert reasons.keys() == {"bad.pdf", "empty.txt", "blank.txt", "tool.xyz", "nowhere.txt"}
    assert "something else" in reasons["bad.pdf"] and "empty" in reasons["empty.txt"]
    assert summary.new == 3 and len(await names(services)) == 3


async def test_document_that_an_earlier_call_left_half_done_is_taken_up(services: Services, folder: Path) -> None:
    await services.ingest.aclose()  # the earlier call registers it and is killed
    left = Ingestion(services.settings, services, ANNA, command(folder / "one.txt"))
    work = asyncio.ensure_future(left.work())

    async def registered() -> bool:
        return (await services.stores.documents.list_documents(ANNA))[1] == 1

    await until(registered)
    work.cancel()
    await asyncio.wait({work})
    assert await names(services) == []
    next_call = build(services.settings)
    assert (await ingested(next_call, folder / "one.txt")).there == 1
    assert await names(next_call) == ["one.txt"]
    await next_call.aclose()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("deletes", [False, True], ids=["kept", "--delete-removed"])
async def test_watch_takes_what_comes_replaces_what_changes_and_tells_what_goes(
    services: Services, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], deletes: bool
) -> None:
    monkeypatch.setattr(ingest, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(ingest, "WATCH_SHARE", 0)
    options = ["--delete-removed"] if deletes else []
    ingestion = Ingestion(services.settings, services, ANNA, command(folder, "--watch", *options))
    work = asyncio.ensure_future(ingestion.work())

    async def has(*wanted: str) -> None:
        await until(lambda: _same(services, wanted))

    await has("one.txt", "three.TXT", "two.md")
    first = (await services.stores.documents.list_documents(ANNA, limit=100))[0]
    (folder / "new.txt").write_text("A new file.")
    await has("new.txt", "one.txt", "three.TXT", "two.md")
    (folder / "one.txt").write_text("The lighthouse was rebuilt in 1990.")
    before = next(document.file_id for document in first if document.filename == "one.txt")

    async def replaced() -> bool:
        there = {document.file_id for document in (await services.stores.documents.list_documents(ANNA, limit=100))[0]}
        return before not in there

    await until(replaced)
    await has("new.txt", "one.txt", "three.TXT", "two.md")
    assert await services.vectors.chunks(ANNA, before) == []
    (folder / "deep" / "two.md").unlink()
    if deletes:
        await has("new.txt", "one.txt", "three.TXT")
    else:

        async def told() -> bool:
            return "no longer there, kept as a document" in capsys.readouterr().err

        await until(told)
        await has("new.txt", "one.txt", "three.TXT", "two.md")

    async def counted() -> bool:
        return ingestion.summary.removed == int(deletes)

    await until(counted)
    work.cancel()
    await asyncio.wait({work})
    assert (ingestion.summary.new, ingestion.summary.replaced) == (4, 1)


async def _same(services: Services, wanted: tuple[str, ...]) -> bool:
    return await names(services) == sorted(wanted)


async def test_chroma_is_refused_as_its_index_belongs_to_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTOR_DB_TYPE", "chroma")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(InvalidRequest, match="only one process"):
        await ingest.run(command("somewhere"))
    assert not (tmp_path / "data").exists()


def test_unknown_user_is_refused_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert main(["ingest", str(tmp_path), "--user", "nobody"]) == 1
    assert "There is no user 'nobody'" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_with_the_summary_and_the_next_call_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.txt").write_text(f"Note {number} speaks of {number} horses. " * 12)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path / "data"),
        "LANG": "C.UTF-8",
    }  # fmt: skip
    backend = [sys.executable, "-m", "backend"]
    subprocess.run([*backend, "users", "add", "anna"], env=environment, cwd=tmp_path, check=True, capture_output=True)
    call = [*backend, "ingest", str(folder), "--user", "anna"]
    running = subprocess.Popen(call, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "data" / "uploads").glob("*/*.text.jsonl"))) < 3:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert b" new, 0 there already, 0 refused" in out and b"not finished: the same command goes on" in out
    assert b"Traceback" not in err
    done = subprocess.run(call, env=environment, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0 refused" in done.stdout and "not finished" not in done.stdout
