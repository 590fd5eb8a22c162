"""Pages by cursor, in both directions, also from what is gone."""

from __future__ import annotations

import pytest

from backend.models.errors import InvalidRequest
from backend.utils.cursor import cursor_page
from backend.utils.ids import is_safe_id, moment_of, timed_id

IDS = [timed_id("vs_", 1_700_000_000.0 + n) for n in range(6)]
NEWEST = IDS[::-1]


def page(items: list[str], **wanted: object) -> tuple[list[str], bool]:
    moments = {each: moment_of(each) or 0.0 for each in IDS}
    options: dict[str, object] = {"newest_first": True, "limit": 2, **wanted}
    return cursor_page(items, id_of=str, moment=moments.__getitem__, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "found", "more"),
    [
        ({}, NEWEST[:2], True),
        ({"limit": 6}, NEWEST, False),
        ({"after": NEWEST[1]}, NEWEST[2:4], True),
        ({"after": NEWEST[3]}, NEWEST[4:], False),
        ({"after": NEWEST[5]}, [], False),
        ({"before": NEWEST[3]}, NEWEST[1:3], True),
        ({"before": NEWEST[2]}, NEWEST[:2], False),
        ({"before": NEWEST[0]}, [], False),
        ({"after": NEWEST[0], "before": NEWEST[5]}, NEWEST[1:3], True),
        ({"after": NEWEST[4], "before": NEWEST[1]}, [], False),
    ],
    ids=["start", "all", "after", "after, last page", "after the last", "before", "before, first page",
         "before the first", "between", "crossed"],
)  # fmt: skip
def test_pages(wanted: dict[str, object], found: list[str], more: bool) -> None:
    assert page(NEWEST, **wanted) == (found, more)


@pytest.mark.parametrize("gone", range(6))
def test_what_is_gone_still_has_its_place(gone: int) -> None:
    rest = [each for each in NEWEST if each != NEWEST[gone]]
    assert page(rest, after=NEWEST[gone], limit=9) == (NEWEST[gone + 1 :], False)
    assert page(rest, before=NEWEST[gone], limit=9) == (NEWEST[:gone], False)
    assert page(rest[::-1], after=NEWEST[gone], limit=9, newest_first=False) == (NEWEST[:gone][::-1], False)


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("cursor", ["", "x", "vs_", "vs_zz", "file-1", "a" * 10_000, "vs_\u202e"])
def test_what_never_was_an_id_is_refused_by_name(name: str, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        page(NEWEST, **{name: cursor})
    assert caught.value.param == name
    assert len(caught.value.message) < 200


def test_timed_ids_are_safe_and_tell_their_time_to_the_microsecond() -> None:
    made = timed_id("upload_", 1_795_285_715.123456)
    assert is_safe_id(made) and moment_of(made) == pytest.approx(1_795_285_715.123456, abs=1e-6)
    assert len({timed_id("vs_", 1.0) for _ in range(100)}) == 100
    assert moment_of("file-" + "0" * 32) is None
