"""The session in docs/session.md is what the code really does."""

from __future__ import annotations

import re

import pytest

from scripts.record_session import ANSWER, PAGE, page, record, steady


@pytest.mark.slow
def test_the_recorded_session_is_what_happens_now() -> None:
    printed = record()
    assert ANSWER in printed
    assert printed.count("   finished") == printed.count(" completed in ") == 3
    # Side by side: all three have started before the first is finished.
    order = re.findall(r"^   (started|finished)", printed, re.M)
    assert order == ["started"] * 3 + ["finished"] * 3
    assert "[1] handbook.txt: " in printed
    assert steady(PAGE.read_text()) == steady(page(printed)), "run `python -m scripts.record_session`"
