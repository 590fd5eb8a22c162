"""How long one exact method may try before a simpler one takes over, in seconds of processor time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

SOLVE = 1.0
INTEGRATE = 1.0
SIMPLIFY = 0.6
NUMERIC = 1.0


class TooLong(Exception):
    """The method did not end within its time."""


class _Alarm(BaseException):
    """Passes through every `except Exception` of the library that is being interrupted."""


def within(seconds: float, call: Callable[..., Any], *args: Any) -> Any:
    """`call(*args)`, given up after so many seconds of processor time; calls must not be nested.

    Outside the main thread no alarm can be set: there the call runs to its end, and only the worker's own limit holds.

    Raises:
        TooLong: the time was up.
    """
    if threading.current_thread() is not threading.main_thread():
        return call(*args)

    def ring(*_: Any) -> None:
        raise _Alarm

    before = signal.signal(signal.SIGPROF, ring)
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            return call(*args)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    except _Alarm:
        raise TooLong from None
