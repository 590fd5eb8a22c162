"""Which behaviour a server of a given version has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


def _numbers(version: str) -> tuple[int, int, int]:
    found = re.match(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    if found is None:
        return (0, 0, 0)
    major, minor, patch = (int(part or 0) for part in found.groups())
    return (major, minor, patch)


@dataclass(frozen=True)
class Profile:
    """A version, and what it can do. `0.0.0` (a source build) counts as the newest."""

    version: str = "0.33.0"

    @cached_property
    def _number(self) -> tuple[int, int, int]:
        number = _numbers(self.version)
        return (99, 0, 0) if number == (0, 0, 0) else number

    def _since(self, *number: int) -> bool:
        return self._number >= number

    @property
    def has_done_reason(self) -> bool:
        return self._since(0, 1, 35)

    @property
    def has_schema_format(self) -> bool:
        return self._since(0, 5, 0)

    @property
    def shows_capabilities(self) -> bool:
        return self._since(0, 6, 4)

    @property
    def streams_with_tools(self) -> bool:
        return self._since(0, 8, 0)

    @property
    def knows_think(self) -> bool:
        return self._since(0, 9, 0)

    @property
    def shows_loaded_context(self) -> bool:
        return self._since(0, 10, 0)

    @property
    def knows_think_levels(self) -> bool:
        return self._since(0, 11, 1)

    @property
    def knows_dimensions(self) -> bool:
        return self._since(0, 11, 11)

    @property
    def thinks_by_default(self) -> bool:
        return self._since(0, 12, 4)

    @property
    def knows_truncate_and_shift(self) -> bool:
        return self._since(0, 12, 4)

    @property
    def accepts_think_false_everywhere(self) -> bool:
        return self._since(0, 12, 5)

    @property
    def has_tool_index(self) -> bool:
        return self._since(0, 12, 6)

    @property
    def has_real_status_before_stream(self) -> bool:
        return self._since(0, 12, 6)

    @property
    def has_tool_ids(self) -> bool:
        return self._since(0, 12, 10)

    @property
    def knows_logprobs(self) -> bool:
        return self._since(0, 12, 11)

    @property
    def knows_think_max(self) -> bool:
        return self._since(0, 22, 0)

    @property
    def runs_native_templates(self) -> bool:
        return self._since(0, 30, 0)

    @property
    def lists_capabilities_in_tags(self) -> bool:
        return self._since(0, 30, 0)

    @property
    def default_repeat_penalty(self) -> float:
        return 1.0 if self._since(0, 32, 10) else 1.1
