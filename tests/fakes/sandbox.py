"""A sandbox that runs nothing: it answers what a test has put there, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backend.models.run import Owner
from backend.workers.sandbox_port import CodeResult, SandboxReport


@dataclass(frozen=True, slots=True)
class Asked:
    code: str
    owner: Owner
    run_id: str
    files: Mapping[str, bytes]
    keep: bool


@dataclass
class FakeSandbox:
    result: CodeResult = field(default_factory=CodeResult)
    packages: tuple[str, ...] = ()
    reason: str | None = None
    asked: list[Asked] = field(default_factory=list)

    def offered(self) -> tuple[str, ...]:
        return self.packages

    def impossible(self) -> str | None:
        return self.reason

    def prepare(self, on_none: Callable[[str], None]) -> None:
        if self.reason is not None:
            on_none(self.reason)

    async def check(self) -> SandboxReport:
        return SandboxReport(None if self.reason else "landlock", self.reason or "It holds.")

    def report(self) -> SandboxReport | None:
        return SandboxReport(None if self.reason else "landlock", self.reason or "It holds.")

    async def run(
        self, code: str, *, owner: Owner, run_id: str, files: Mapping[str, bytes] | None = None, keep: bool = False
    ) -> CodeResult:
        self.asked.append(Asked(code, owner, run_id, files or {}, keep))
        return self.result

    async def aclose(self) -> None:
        return None
