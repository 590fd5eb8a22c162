"""Port for files that tools make: charts, images and tables a person can open from the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from backend.models.run import Owner

MAX_ARTIFACT_BYTES = 16 * 1_048_576
"""Largest single file."""
MAX_OWNER_BYTES = 256 * 1_048_576
"""What one owner's files take together; beyond it the oldest go."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of a file. `name` is for showing only, never a path; `created_at` in seconds since the epoch."""

    id: str
    run_id: str
    name: str
    content_type: str
    size: int
    created_at: float


class ArtifactStore(Protocol):
    """Files of one owner, made by the tools of one run."""

    async def save(self, owner: Owner, run_id: str, name: str, content_type: str, data: bytes) -> Artifact:
        """Keep a file. Raises TooLarge above MAX_ARTIFACT_BYTES; the owner's oldest make room for it."""
        ...

    async def get(self, owner: Owner, artifact_id: str) -> tuple[Artifact, bytes]:
        """Raises NotFound."""
        ...

    async def delete_of_run(self, owner: Owner, run_id: str) -> int:
        """Remove everything a run made; how many files that were."""
        ...
