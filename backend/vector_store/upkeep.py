"""Work on large indexes that no call waits for: merging large segments, rewriting erased ones, building graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.vector_store import hnsw, segment_writer
from backend.vector_store.index_folder import Span, draft

if TYPE_CHECKING:
    from backend.vector_store.disk_index import DiskIndex
    from backend.vector_store.index_folder import Draft
    from backend.vector_store.segment_files import Segment

log = logging.getLogger("hearth.vectors")


@dataclass(frozen=True, slots=True)
class Job:
    """Segments to be put into one, or, without `into`, one segment that needs a graph."""

    segments: dict[Span, Segment]
    into: Span | None
    target: Path


def next_job(index: DiskIndex) -> Job | None:
    """What there is to do for an open index, the guard held. A small index never has anything."""
    due = index.due_later()
    if due:
        into = Span(due[0].first, due[-1].last)
        return Job({span: index.segments[span] for span in due}, into, index.path(into))
    if sum(segment.count for segment in index.segments.values()) <= index.limits.graph_index:
        return None
    for span, segment in index.segments.items():
        if segment.dimension and segment.rows >= index.limits.graph_segment and not index.has_graph(segment):
            return Job({span: segment}, None, index.folder.graph(segment))
    return None


def run(index: DiskIndex, stopped: Callable[[], bool]) -> bool:
    """Do one piece of work; False when there is none or it was overtaken. Raises OSError when the disk refuses."""
    with index.guard:
        index.refresh()
        job = next_job(index)
    if job is None:
        return False

    def wanted() -> bool:
        """Not while a segment has been changed, say by a deletion, since the work began."""
        return not stopped() and all(
            span not in index.segments or index.segments[span].stamp == segment.stamp
            for span, segment in job.segments.items()
        )

    with draft(job.target) as new:
        if not _build(job, new, wanted):
            return not stopped()
        for segment in job.segments.values():
            segment.forget_pages()
        with index.guard:
            index.install(job.segments, job.into, new)
    return True


def _build(job: Job, new: Draft, wanted: Callable[[], bool]) -> bool:
    segments: Sequence[Segment] = list(job.segments.values())
    if job.into is None:
        return hnsw.build(segments[0], new.path, wanted)
    return segment_writer.write_merged(new.file, segments, wanted)
