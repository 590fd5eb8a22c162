"""What each round of a plan was found to cover, so that a later round can never make the answer worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.core.findings import Findings
from backend.core.json_text import first_object

MAX_MISSING = 6
MAX_MISSING_CHARS = 300

VERIFICATION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "missing": {"type": "array", "items": {"type": "string"}},
        "passed": {"type": "boolean"},
    },
    "required": ["missing", "passed"],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the results of a round do not cover. `taken` is how many results there were by then."""

    missing: tuple[str, ...]
    taken: int
    checked: bool = True
    """False: there was no verdict that could be read, so nothing is known."""


@dataclass(slots=True)
class Rounds:
    """The verdicts so far, in order; rounds in which nothing ran have none."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def best(self) -> Verdict | None:
        """The verdict that misses least, of equal ones the latest."""
        return min(
            (each for each in reversed(self.verdicts) if each.checked), key=lambda v: len(v.missing), default=None
        )

    @property
    def unchecked(self) -> bool:
        """Whether the latest results were never judged."""
        return bool(self.verdicts) and not self.verdicts[-1].checked

    def missing(self, findings: Findings) -> tuple[str, ...]:
        """What the best round does not cover; nothing is claimed when good results came after it unjudged."""
        best = self.best
        if best is None or (self.unchecked and findings.good_since(best.taken)):
            return ()
        return best.missing

    def worth_telling(self, findings: Findings) -> Findings:
        """The results an answer should be written from: all, but when the latest round was worse than an earlier
        one, without the failures that came after that one."""
        best = self.best
        if best is None or self.unchecked or self.verdicts[-1] is best:
            return findings
        return findings.without_later_failures(best.taken)


def read_verdict(text: str | None, taken: int) -> Verdict:
    """The verdict in a model's text; not `checked` when it says nothing that can be used."""
    found = first_object(text or "")
    passed, named = (found or {}).get("passed"), (found or {}).get("missing")
    if passed is True:
        return Verdict((), taken)
    if passed is not False or not isinstance(named, list):
        return Verdict((), taken, checked=False)
    told = [" ".join(str(each)[: MAX_MISSING_CHARS * 2].split())[:MAX_MISSING_CHARS] for each in named[:MAX_MISSING]]
    missing = tuple(each.encode("utf-8", "replace").decode() for each in told if each)
    return Verdict(missing, taken, checked=bool(missing))
