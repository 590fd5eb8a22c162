"""What a run may use, whatever the settings say."""

from __future__ import annotations

import time

import pytest

from backend.core.collect import TOOL_SECONDS, Meter
from backend.models.messages import Usage
from backend.models.run import Budget
from tests.fakes.tools import run_context


def meter(seconds: float, **budget: int) -> Meter:
    return Meter(run_context(deadline=time.monotonic() + seconds, budget=Budget(seconds=seconds, **budget)))


def test_inj_2_tools_end_after_two_minutes_however_long_the_answer_may_take() -> None:
    made = meter(600.0)
    assert made.reserve_s == pytest.approx(600.0 - TOOL_SECONDS, abs=1.0)
    assert made.tools_exhausted() is None
    late = Meter(run_context(deadline=time.monotonic() + 470.0))
    late.reserve_s = made.reserve_s
    assert late.tools_exhausted() is not None
    assert late.exhausted() is None


def test_a_short_run_keeps_a_share_for_its_answer() -> None:
    assert meter(40.0).reserve_s == pytest.approx(6.0, abs=0.5)


def test_inj_2_no_setting_allows_more_than_twenty_tool_calls() -> None:
    made = meter(60.0, tool_calls=500)
    made.tool_calls = 20
    assert "20 tool calls" in (made.tools_exhausted() or "")


def test_tokens_used_up_end_the_run_and_nearly_used_up_end_the_tools() -> None:
    made = meter(60.0, tokens=100)
    made.count(Usage(50, 10))
    assert "nearly used up" in (made.tools_exhausted() or "")
    assert made.exhausted() is None
    made.count(Usage(30, 10))
    assert "100 tokens was used up" in (made.exhausted() or "")
