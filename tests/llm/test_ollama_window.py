"""How large a window is asked for, and that it is not changed without need."""

import pytest

from backend.llm.ollama_window import TOO_LARGE_S, Windows, choose_window


@pytest.mark.parametrize(
    ("wanted", "required", "trained", "at_least", "at_most", "window"),
    [
        (10, 0, 131_072, 0, None, 4096),
        (5000, 0, 131_072, 0, None, 8192),
        (4097, 0, 131_072, 0, None, 8192),
        (90_000, 0, 131_072, 0, None, 32_768),
        (90_000, 60_000, 131_072, 0, None, 65_536),
        (900_000, 900_000, 131_072, 0, None, 131_072),
        (10, 0, 131_072, 65_536, None, 65_536),
        (10, 0, 2048, 65_536, None, 2048),
        (30_000, 30_000, 131_072, 16_384, 8192, 8192),
        (10, 0, 131_072, 0, 100, 4096),
    ],
    ids=[
        "smallest",
        "five thousand tokens",
        "one too many",
        "history",
        "question",
        "trained limit",
        "never smaller",
        "small model",
        "memory",
        "memory never below the smallest",
    ],
)
def test_window_is_a_step_that_suffices_and_no_more(wanted, required, trained, at_least, at_most, window):
    assert choose_window(wanted, required, trained, at_least, at_most) == window


def test_largest_window_that_worked_is_the_least_for_every_request():
    windows = Windows()
    assert not windows.knows("m")
    for window in (4096, 16_384, 8192):
        windows.worked("m", window)
    assert windows.at_least("m") == 16_384
    assert windows.at_least("other") == 0


def test_request_on_its_way_keeps_smaller_ones_from_taking_the_window_away():
    windows = Windows()
    windows.worked("m", 4096)
    with windows.asking("m", 16_384):
        assert windows.at_least("m") == 16_384
    assert windows.at_least("m") == 4096, "it did not work, so nothing stays of it"


def test_window_too_large_for_the_memory_is_not_asked_for_again_for_a_while():
    now = [0.0]
    windows = Windows(lambda: now[0])
    windows.worked("m", 65_536)
    assert windows.at_most("m") is None
    windows.too_large("m", 32_768)
    assert windows.at_most("m") == windows.at_least("m") == 16_384
    now[0] = TOO_LARGE_S + 1
    assert windows.at_most("m") is None
