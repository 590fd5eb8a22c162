"""How much to try: little in the suite and always the same, as much as asked for with HEARTH_FUZZ_EXAMPLES."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("HEARTH_FUZZ_EXAMPLES", "0"))
"""Examples for each route; 0 is the short set."""


def effort(few: int) -> settings:
    """The short set is derived from the test's code alone; a longer run looks elsewhere each time."""
    return settings(
        max_examples=ASKED or few,
        derandomize=ASKED == 0,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
