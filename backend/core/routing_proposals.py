"""What the tools themselves say about a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backend.models.tools import ToolSpec

SURE = 0.8
"""A tool's own proposal at or above this decides."""
PLAUSIBLE = 0.45
"""Below this a proposal counts for nothing."""
MAX_CHARS = 20_000
"""Longer queries are pasted text: what is to be done with it says its beginning or end, not the whole."""


def best_proposal(
    text: str, specs: Sequence[ToolSpec], only: Callable[[ToolSpec], bool] | None = None
) -> tuple[str, float]:
    """The tool that is surest of being able to answer, and its confidence in [0, 1]; ("", 0.0) when none is.

    `only` restricts the tools that are asked.
    """
    best, tool = 0.0, ""
    if len(text) > MAX_CHARS:
        return tool, best
    for spec in specs:
        if spec.propose is None or (only is not None and not only(spec)):
            continue
        for proposal in spec.propose(text):
            if proposal.confidence > best:
                best, tool = proposal.confidence, spec.name
    return tool, best
