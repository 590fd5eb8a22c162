"""Summaries of long conversations, and the text in which they travel."""

from __future__ import annotations

import base64

import pytest

from backend.models.errors import InvalidRequest
from backend.models.messages import Message
from backend.tasks.compaction import EXTRACT_CHARS, EXTRACT_TURNS, extract, opened, sealed


@pytest.mark.parametrize("summary", ["", "Grüße 👋\nnext line", "x" * 30_000], ids=["empty", "letters", "long"])
def test_a_summary_comes_back_as_it_was(summary: str) -> None:
    assert opened(sealed(summary), "p") == summary


@pytest.mark.parametrize(
    "content",
    ["", "not base64!", "e30=", base64.b64encode(b"[1]").decode(), base64.b64encode(b'{"summary": 5}').decode(), "ü"],
)
def test_what_was_not_made_here_is_refused(content: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(content, "input.0.encrypted_content")
    assert caught.value.param == "input.0.encrypted_content"


def test_an_extract_is_the_beginning_of_what_the_assistant_said() -> None:
    long = "First sentence. " + "Second sentence goes on. " * 40
    found = extract(
        [Message("user", "q"), Message("assistant", "Short  one."), Message("assistant", long)]
    ).splitlines()
    assert found[0] == "- Short one." and found[1].startswith("- First sentence. Second") and found[1].endswith(".")
    assert len(found[1]) <= EXTRACT_CHARS + 2
    many = [Message("assistant", f"{n} " + "x" * 999) for n in range(EXTRACT_TURNS + 9)]
    assert len(extract(many).splitlines()) == EXTRACT_TURNS and extract([]) == ""
