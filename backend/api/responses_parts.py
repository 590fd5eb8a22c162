"""Small pieces of the stream of /v1/responses: sequence numbers, text parts, annotations, log probabilities."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence

from backend.api.responses_items import Item
from backend.models.messages import TokenLogprob
from backend.models.tools import Citation

FEW = 4096


@functools.cache
def _first_numbers() -> tuple[bytes, ...]:
    return tuple(b"%d" % number for number in range(FEW))


def numbers() -> Iterator[bytes]:
    """0, 1, 2 and so on as text; the first of them are made once for all responses, as every token needs one."""
    return itertools.chain(_first_numbers(), map(b"%d".__mod__, itertools.count(FEW)))


def text_part(text: str, annotations: Sequence[Item], logprobs: Sequence[Item]) -> Item:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": list(logprobs)}


def annotation_of(citation: Citation, start: int, base_url: str) -> Item:
    """A citation in the flat form of this interface; positions count from the beginning of its message. Page and
    passage are keys of our own beside the standard ones."""
    source = citation.source
    if source.file_id is not None:
        return {
            "type": "file_citation",
            "file_id": source.file_id,
            "filename": source.filename or source.title,
            "index": citation.start - start,
            "page": source.page,
            "quote": source.quote,
        }
    return {
        "type": "url_citation",
        "start_index": citation.start - start,
        "end_index": citation.end - start,
        "url": base_url + source.url if source.url.startswith("/") else source.url,
        "title": source.title,
    }


def logprob_of(token: TokenLogprob) -> Item:
    return {**_one_logprob(token), "top_logprobs": [_one_logprob(each) for each in token.top]}


def _one_logprob(token: TokenLogprob) -> Item:
    raw = token.bytes if token.bytes is not None else token.token.encode("utf-8", "surrogatepass")
    return {"token": token.token, "logprob": token.logprob, "bytes": list(raw)}
