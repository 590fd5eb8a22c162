"""The built-in model: no language model, but the same agents and tools, driven by patterns and the local embedder."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from backend.llm.builtin_answers import AnswerWriter
from backend.llm.builtin_choice import (
    Call,
    Need,
    Progress,
    fill_arguments,
    find_needs,
    named_tool,
    propose_calls,
    put_into,
    weigh_progress,
)
from backend.llm.builtin_follow import whole_query
from backend.llm.builtin_phrases import about, farewell, phrase
from backend.llm.builtin_turn import Turn, read_turn
from backend.llm.port import ChatRequest, ModelInfo, ModelServices, ResponseFormat
from backend.models.errors import HearthError, InvalidRequest, ModelNotFound, UnsupportedParameter
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.tools import ToolSpec
from backend.utils.language import detect_language
from backend.utils.query_text import is_greeting, is_thanks

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder, FloatArray

MODEL = "hearth-builtin"
CONTEXT_LENGTH = 32_768
TOKENS_PER_WORD = 1.3
ALIKE = 0.42
"""Cosine of query and description at which a tool that proposed nothing itself is used."""
AHEAD = 0.05
"""How far it must be ahead of the next tool."""
MAX_DESCRIPTIONS = 512


def create(services: ModelServices) -> BuiltinModel:
    return BuiltinModel(services.embedder)


class BuiltinModel:
    """Serves `hearth-builtin`. Keeps nothing between requests but the embeddings of tool descriptions."""

    name = "builtin"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._descriptions: dict[str, FloatArray] = {}
        capabilities = frozenset({"completion", "tools", "structured", "tools_only"})
        self._info = ModelInfo(MODEL, self.name, capabilities, CONTEXT_LENGTH, owned_by="hearth")

    async def list_models(self) -> list[ModelInfo]:
        return [self._info]

    async def describe(self, model: str) -> ModelInfo:
        if model != MODEL:
            raise ModelNotFound(f"There is no built-in model {model[:64]!r}; it is called {MODEL}.", param="model")
        return self._info

    async def aclose(self) -> None:
        """Holds nothing open."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Decide, then write. Raises ModelNotFound, and UnsupportedParameter for free JSON, logprobs and pictures,
        before the first event."""
        await self.describe(request.model)
        _refuse_what_it_cannot(request)
        turn = read_turn(request.messages)
        calls: list[Call] = []
        text = ""
        if request.response_format is not None and request.response_format.type != "text":
            text = await self._structured(request, request.response_format, turn)
        else:
            calls, text = await self._act(request, turn)
        if calls:
            for call in calls:
                arguments = orjson.dumps(dict(call.arguments)).decode()
                yield ToolCallMade(ToolCall(f"call_{secrets.token_hex(8)}", call.name, arguments))
            yield _usage(request, sum(len(call.arguments) * 4 + 4 for call in calls))
            yield Finished("tool_calls")
            return
        written = 0
        cut = False
        for piece in pieces(_before_stop(text, request.sampling.stop)):
            if request.sampling.max_tokens is not None and written >= request.sampling.max_tokens:
                cut = True
                break
            written += 1
            yield TextDelta(piece)
        yield _usage(request, written)
        yield Finished("length" if cut else "stop")

    # ---- choosing and answering -----------------------------------------------------------------

    async def _act(self, request: ChatRequest, turn: Turn) -> tuple[list[Call], str]:
        """The calls to make now, or the text to say when there are none."""
        specs = () if request.tool_choice == "none" else request.tools
        query = whole_query(turn.query, turn.earlier, turn.last_answer, specs) if specs else turn.query
        needs: list[Need] = []
        if specs and query and not _is_small_talk(turn.query):
            needs = await self._needs(query, specs, request.tool_choice, bool(turn.results))
        progress = weigh_progress(needs, turn.results)
        calls = [each.next_call for each in progress if each.next_call is not None]
        if calls:
            return (calls if request.parallel_tool_calls else calls[:1]), ""
        language = detect_language(turn.query)
        if turn.results:
            return [], await AnswerWriter(self._embedder, query, language).write(_told(progress), turn.results)
        return [], _introduction(turn.query, language, specs)

    async def _needs(self, query: str, specs: Sequence[ToolSpec], choice: str, answered: bool) -> list[Need]:
        if choice in ("auto", "none") or answered:
            needs = find_needs(query, specs)
            if needs or answered:
                return needs
            alike = await self._alike(query, specs)
            return [Need(query, (alike,))] if alike else []
        allowed = specs if choice == "required" else [spec for spec in specs if spec.name == choice]
        needs = [need for need in find_needs(query, allowed) if need.options]
        if needs:
            return needs
        return [Need(query, (await self._forced(query, allowed),))]

    async def _forced(self, query: str, specs: Sequence[ToolSpec]) -> Call:
        """Some call, because the request demands one. Raises InvalidRequest when no arguments can be filled in."""
        named = named_tool(query, specs)
        if named:
            return named
        weak = propose_calls(query, specs, 0.0)
        if weak:
            return weak[0]
        fillable = [(spec, filled) for spec in specs if (filled := fill_arguments(spec, query)) is not None]
        if not fillable:
            raise InvalidRequest(
                "The built-in model cannot fill in the arguments of the tool that must be called; "
                "name the values in the message, or use a language model.",
                param="tool_choice",
            )
        if len(fillable) > 1:
            scores = await self._similarities(query, [spec for spec, _ in fillable])
            if scores:
                best = max(range(len(fillable)), key=lambda i: scores[i])
                return Call(fillable[best][0].name, fillable[best][1], scores[best])
        return Call(fillable[0][0].name, fillable[0][1], 0.0)

    async def _alike(self, query: str, specs: Sequence[ToolSpec]) -> Call | None:
        """The tool whose description is clearly the nearest to the query, if it takes plain language."""
        fillable = [
            (spec, filled) for spec in specs if (filled := fill_arguments(spec, query, by_name=False)) is not None
        ]
        if not fillable:
            return None
        scores = await self._similarities(query, specs)
        if not scores:
            return None
        order = sorted(range(len(specs)), key=lambda i: -scores[i])
        ahead = len(order) == 1 or scores[order[0]] - scores[order[1]] >= AHEAD
        best = specs[order[0]]
        arguments = next((filled for spec, filled in fillable if spec is best), None)
        if scores[order[0]] < ALIKE or not ahead or arguments is None:
            return None
        return Call(best.name, arguments, scores[order[0]])

    async def _similarities(self, query: str, specs: Sequence[ToolSpec]) -> list[float]:
        """Cosine of the query with each tool's description; empty when the embedder fails."""
        texts = [f"{spec.name.replace('_', ' ')}: {spec.description}" for spec in specs]
        try:
            missing = [text for text in dict.fromkeys(texts) if text not in self._descriptions]
            if missing:
                if len(self._descriptions) + len(missing) > MAX_DESCRIPTIONS:
                    self._descriptions.clear()
                    missing = list(dict.fromkeys(texts))
                vectors = await self._embedder.embed_documents(missing)
                self._descriptions.update(zip(missing, vectors, strict=True))
            wanted = await self._embedder.embed_query(query)
        except HearthError:
            return []
        return [float(self._descriptions[text] @ wanted) for text in texts]

    # ---- structured answers ---------------------------------------------------------------------

    async def _structured(self, request: ChatRequest, wanted: ResponseFormat, turn: Turn) -> str:
        query = whole_query(turn.query, turn.earlier, turn.last_answer, request.tools)
        if wanted.name == "plan" and _has(wanted, "steps"):
            needs = await self._needs(query, request.tools, "auto", bool(turn.results)) if request.tools else []
            return _json(_plan(needs, turn))
        if wanted.name == "verification" and _has(wanted, "passed"):
            return _json(_verification(query, request.tools, turn))
        if len(turn.results) == 1 and wanted.type == "json_object":
            found = turn.results[0].result
            if found is not None and isinstance(found.data, Mapping):
                return _json(found.data)
        raise UnsupportedParameter(
            "The built-in model cannot write JSON of a given form; use a language model for response_format.",
            param="response_format",
        )


def _refuse_what_it_cannot(request: ChatRequest) -> None:
    if request.logprobs is not None:
        raise UnsupportedParameter(
            "The built-in model knows no probabilities: leave logprobs out, or name another model.", param="logprobs"
        )
    if request.suffix is not None:
        raise UnsupportedParameter(
            "The built-in model cannot fill in: leave out suffix, or name another model.", param="suffix"
        )
    if any(message.images for message in request.messages):
        raise UnsupportedParameter(
            "The built-in model cannot see images: leave them out, or name a vision model.",
            param="messages",
            code="unsupported_content",
        )


def _plan(needs: Sequence[Need], turn: Turn) -> dict[str, Any]:
    """Steps for what has no result yet; a dependent step names the one it waits for as `{{sN}}`."""
    progress = weigh_progress(needs, turn.results, planning=True)
    first = 1 + max([_step_number(result.call_id) for result in turn.results] + [len(turn.results)], default=0)
    ids: dict[int, str] = {}
    steps: list[dict[str, Any]] = []
    for position, at in enumerate(progress):
        if at.next_call is None:
            continue
        ids[position] = f"s{first + len(steps)}"
        source = ids.get(at.need.depends_on) if at.need.depends_on is not None else None
        call = put_into(at.next_call, f"{{{{{source}}}}}") if source else at.next_call
        steps.append(
            {
                "id": ids[position],
                "purpose": at.need.text[:200],
                "tool": call.name,
                "input": dict(call.arguments),
                "depends_on": [source] if source else [],
            }
        )
    return {"steps": steps}


def _step_number(call_id: str) -> int:
    found = re.search(r"s(\d{1,3})$", call_id)
    return int(found[1]) if found else 0


def _verification(query: str, specs: Sequence[ToolSpec], turn: Turn) -> dict[str, Any]:
    """Not passed when every result is a failure, or a part has none and some call could still bring it."""
    needs = [need for need in find_needs(query, specs) if need.options]
    progress = weigh_progress(needs, turn.results)
    missing = [at.need.text for at in progress if at.next_call is not None]
    all_failed = bool(turn.results) and all(result.error is not None for result in turn.results)
    if all_failed and not missing:
        missing = [need.text for need in needs] or [query]
    return {"passed": not missing, "missing": missing}


def _told(progress: Sequence[Progress]) -> list[Progress]:
    """What the answer speaks of: parts with results, and parts nothing could be done about when others could."""
    return list(progress) if any(at.results for at in progress) else []


def _introduction(query: str, language: str, specs: Sequence[ToolSpec]) -> str:
    parting = farewell(query)
    if parting:
        return phrase(language, parting)
    if is_thanks(query):
        return phrase(language, "thanks")
    words = about(language, tuple(spec.name for spec in specs))
    return f"{phrase(language, 'hello')} {words}" if is_greeting(query) else words


def _is_small_talk(query: str) -> bool:
    return is_greeting(query) or is_thanks(query)


# ---- text and counters --------------------------------------------------------------------------


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of about a token, white space kept, citation markers whole; joined they are the text."""
    yield from re.findall(r"\s*(?:\[\d+\]|\w{1,12}|[^\w\s]+?)(?:\s+\Z)?", text)


def _before_stop(text: str, stop: Sequence[str]) -> str:
    ends = [at for word in stop if word and (at := text.find(word)) >= 0]
    return text[: min(ends)] if ends else text


def _usage(request: ChatRequest, written: int) -> Usage:
    return Usage(_estimated_tokens(request.messages), written, step=request.step, estimated=True)


def _estimated_tokens(messages: Sequence[Message]) -> int:
    return round(sum(len(message.content.split()) for message in messages) * TOKENS_PER_WORD)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _has(wanted: ResponseFormat, key: str) -> bool:
    return wanted.schema is None or key in wanted.schema.get("properties", {})
