"""The provider against a socket that answers, fails, stalls and breaks off as told."""

import asyncio
import socket
import time
from contextlib import aclosing, asynccontextmanager

import pytest

from backend.config.settings import load_settings
from backend.llm.ollama import OllamaProvider, create
from backend.llm.port import ChatRequest, ModelServices, ResponseFormat, Sampling
from backend.models.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelFault,
    ModelNotFound,
    SettingsError,
    UpstreamBusy,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from backend.models.messages import Finished, Message, ReasoningDelta, TextDelta, ToolCallMade, Usage
from backend.models.tools import ToolSpec
from tests.llm.raw_upstream import (
    RawUpstream,
    answer,
    call,
    hangs_up,
    is_silent,
    last,
    line,
    model_info,
    refuses,
    says,
    serving,
)

CLOCK = ToolSpec("clock", "The time", {"type": "object", "properties": {}})
THINKER = {"capabilities": ["completion", "tools", "thinking"], "model_info": model_info(40960)}


def settings(*urls, **more):
    limits = {"ollama_timeout": 2.0, "ollama_gap_timeout": 0.5, "ollama_model": None, "ollama_num_ctx": None}
    return load_settings(_env_file=None, ollama_host=urls, **(limits | more))


@asynccontextmanager
async def provider_of(*upstreams, **more):
    provider = OllamaProvider(settings(*(upstream.url for upstream in upstreams), **more))
    try:
        yield provider
    finally:
        await provider.aclose()


@asynccontextmanager
async def serving_provider(*scripts, models=None, **more):
    upstream = RawUpstream(scripts=list(scripts) or [says("Hi")])
    if models:
        upstream.models = models
    async with serving(upstream), provider_of(upstream, **more) as provider:
        yield upstream, provider


def ask(text="hello", model="m", **fields):
    return ChatRequest(model, (Message("user", text),), **fields)


async def events_of(provider, request=None):
    return [event async for event in provider.stream(request or ask())]


async def text_of(provider, request=None):
    return "".join(e.text for e in await events_of(provider, request) if isinstance(e, TextDelta))


async def until(true):
    """Wait until something holds, at most 5 s."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def free_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


# ---- the good path ------------------------------------------------------------------------------


async def test_answer_ends_with_usage_and_one_finished():
    async with serving_provider(says("For", "ty")) as (_, provider):
        events = await events_of(provider, ask(step="plan"))
    assert "".join(e.text for e in events[:-2]) == "Forty"
    assert events[-2:] == [Usage(57, 6, 0, "plan"), Finished("stop")]


async def test_absent_counters_are_estimated_and_say_so():
    async with serving_provider(answer(line("Forty-two is it"), line(done=True))) as (_, provider):
        usage = (await events_of(provider))[-2]
    assert usage.estimated
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens == 4


async def test_calls_finish_with_tool_calls():
    made = call("clock", {"zone": "UTC"}, id="call_1")
    async with serving_provider(answer(line("", tool_calls=[made]), last())) as (_, provider):
        events = await events_of(provider, ask(tools=(CLOCK,)))
    assert [(e.call.id, e.call.arguments) for e in events if isinstance(e, ToolCallMade)] == [
        ("call_1", '{"zone":"UTC"}')
    ]
    assert events[-1] == Finished("tool_calls")


async def test_thinking_is_counted_in_the_usage():
    script = answer(line("", thinking="Hmm."), line("42!!"), last())
    async with serving_provider(script, models={"m:latest": THINKER}) as (_, provider):
        events = await events_of(provider)
    assert events[0] == ReasoningDelta("Hmm.")
    assert events[-2] == Usage(57, 6, 3, "answer")


async def test_text_arrives_while_the_rest_is_still_to_come():
    gate = asyncio.Event()

    async def script(peer):
        await peer.head()
        await peer.chunk(line("first"))
        await gate.wait()
        await peer.chunk(line("second") + last())
        await peer.end()

    async with serving_provider(script) as (_, provider), aclosing(provider.stream(ask())) as stream:
        assert await asyncio.wait_for(anext(stream), 1) == TextDelta("first")
        gate.set()
        assert await asyncio.wait_for(anext(stream), 1) == TextDelta("second")


async def test_thinker_that_answers_at_once_is_held_back_only_for_a_moment():
    async def script(peer):
        await peer.head()
        await peer.chunk(line("first"))
        await peer.closed_by_client()

    async with (
        serving_provider(script, models={"m:latest": THINKER}) as (_, provider),
        aclosing(provider.stream(ask())) as stream,
    ):
        assert await asyncio.wait_for(anext(stream), 0.45) == TextDelta("first")


async def test_connection_is_used_again():
    async with serving_provider(says("a")) as (upstream, provider):
        connections = []
        serve = upstream._one

        async def one(peer):
            connections.append(peer.writer)
            return await serve(peer)

        upstream._one = one
        for _ in range(5):
            await events_of(provider)
    # The list, show and ps questions go through another client.
    assert len({id(writer) for writer in connections}) <= 2


async def test_only_our_own_headers_are_sent():
    async with serving_provider() as (upstream, provider):
        await events_of(provider)
    assert upstream.seen[0].headers.keys() <= {
        "host", "content-type", "accept", "user-agent", "accept-encoding", "content-length"
    }  # fmt: skip


async def test_window_never_shrinks_so_the_model_is_not_loaded_anew():
    async with serving_provider(models={"m:latest": THINKER}) as (upstream, provider):
        for size in (10, 20_000, 10):
            await events_of(provider, ask("x" * size))
    assert [body["options"]["num_ctx"] for body in upstream.bodies] == [4096, 8192, 8192]


async def test_window_of_an_already_loaded_model_is_kept():
    async with serving_provider(models={"m:latest": THINKER}) as (upstream, provider):
        upstream.loaded_context = 16_384
        await events_of(provider)
    assert upstream.bodies[0]["options"]["num_ctx"] == 16_384


async def test_endless_blanks_of_a_json_answer_are_cut_off_and_the_connection_closed():
    async def script(peer):
        await peer.head()
        await peer.chunk(line('{"a":1}'))
        while not peer.writer.is_closing():
            await peer.chunk(line("\n" * 50))
            await asyncio.sleep(0.001)

    async with serving_provider(script) as (_, provider):
        events = await events_of(provider, ask(response_format=ResponseFormat("json_object")))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)).strip() == '{"a":1}'
    assert events[-1] == Finished("stop")


# ---- no answer, wrong answer --------------------------------------------------------------------


async def test_ups_1_refused_connection_is_a_503_that_says_how_to_start_ollama():
    url = free_url()
    provider = OllamaProvider(settings(url))
    with pytest.raises(UpstreamUnreachable) as caught:
        await events_of(provider)
    await provider.aclose()
    assert "ollama serve" in caught.value.message
    assert url.removeprefix("http://") not in caught.value.message


async def test_ups_1_connection_refused_after_the_model_was_described_is_a_503():
    async with serving(RawUpstream()) as upstream:
        provider = OllamaProvider(settings(upstream.url))
        await provider.describe("m")
    with pytest.raises(UpstreamUnreachable):
        await events_of(provider)
    await provider.aclose()


async def test_ups_1_silent_upstream_ends_at_the_first_token_limit():
    async with serving_provider(is_silent, ollama_timeout=0.3) as (upstream, provider):
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            await events_of(provider)
        assert time.monotonic() - began < 1
    assert len(upstream.seen) == 1, "a timeout is not tried again"


async def test_ups_1_head_without_a_body_ends_at_the_first_token_limit():
    async def script(peer):
        await peer.head()
        await peer.closed_by_client()

    async with serving_provider(script, ollama_timeout=0.3) as (upstream, provider):
        with pytest.raises(UpstreamTimeout):
            await events_of(provider)
        await asyncio.wait_for(upstream.seen[0].closed.wait(), 1)


async def test_ups_1_silence_between_tokens_ends_at_the_gap_limit():
    async def script(peer):
        await peer.head()
        await peer.chunk(line("half"))
        await peer.closed_by_client()

    async with serving_provider(script, ollama_gap_timeout=0.2, ollama_timeout=30) as (_, provider):
        seen = []
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            async for event in provider.stream(ask()):
                seen.append(event)
        assert 0.15 < time.monotonic() - began < 1.5
    assert seen == [TextDelta("half")]


async def test_ups_1_trickling_bytes_are_not_progress():
    async def script(peer):
        await peer.head()
        for byte in line("half" * 100):
            await peer.chunk(bytes([byte]))
            await asyncio.sleep(0.02)

    async with serving_provider(script, ollama_timeout=0.3) as (_, provider):
        with pytest.raises(UpstreamTimeout):
            await events_of(provider)


async def test_slow_reader_of_the_events_is_not_a_silent_upstream():
    async def script(peer):
        await peer.head()
        for word in "abc":
            await peer.chunk(line(word))
        await asyncio.sleep(0.3)
        await peer.chunk(last())
        await peer.end()

    async with serving_provider(script, ollama_gap_timeout=0.2) as (_, provider):
        events = []
        async for event in provider.stream(ask()):
            events.append(event)
            await asyncio.sleep(0.35)
    assert events[-1] == Finished("stop")


async def _cut(peer):
    await peer.head()
    await peer.chunk(line("half"))
    await asyncio.sleep(0.05)


async def cut_cleanly(peer):
    await _cut(peer)
    await peer.end()


async def cut_by_reset(peer):
    await _cut(peer)
    peer.reset()


async def cut_inside_a_chunk(peer):
    await _cut(peer)
    await peer.send(b"ff\r\n{")
    peer.writer.close()


@pytest.mark.parametrize("script", [cut_cleanly, cut_by_reset, cut_inside_a_chunk])
async def test_ups_1_answer_cut_in_the_middle_is_an_error_without_a_finish(script):
    async with serving_provider(script) as (upstream, provider):
        seen = []
        with pytest.raises(UpstreamCut):
            async for event in provider.stream(ask()):
                seen.append(event)
    assert seen == [TextDelta("half")]
    assert len(upstream.seen) == 1, "nothing is tried again once text was given out"


async def test_ups_1_error_line_after_text_is_raised_and_not_retried():
    script = answer(line("half"), b'{"error":"llama runner process has terminated: exit status 2"}\n', pause_s=0.05)
    async with serving_provider(script) as (upstream, provider):
        with pytest.raises(UpstreamError) as caught:
            await events_of(provider)
    assert "llama runner" not in caught.value.message
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("script", "kind", "requests"),
    [
        (refuses(502, b"<html>Bad gateway</html>", "text/html"), UpstreamError, 3),
        (refuses(200, b"<html>Welcome</html>", "text/html"), UpstreamError, 1),
        (refuses(500, "open /root/.ollama/x: denied"), UpstreamError, 1),
        (refuses(500, "llama runner process has terminated: exit status 2"), UpstreamError, 3),
        (refuses(503, "server busy"), UpstreamBusy, 3),
        (refuses(504, b"", "text/plain"), UpstreamTimeout, 3),
        (refuses(429, "slow", extra="Retry-After: 3600\r\n"), UpstreamBusy, 1),
        (refuses(403, b"", "text/plain"), UpstreamError, 1),
        (refuses(302, b"", "text/plain", "Location: http://127.0.0.1:1/\r\n"), UpstreamError, 1),
        (refuses(400, "model does not support tools"), InvalidRequest, 1),
        (refuses(500, "error parsing tool call: raw='{'"), ModelFault, 2),
        (refuses(400, "the input length exceeds the context length"), ContextTooLong, 1),
        (hangs_up, UpstreamCut, 3),
        (answer(), UpstreamCut, 3),
        (answer(b'{"error":"llama runner process has terminated"}\n'), UpstreamError, 3),
        (answer(last("load")), UpstreamError, 3),
    ],
    ids=[
        "HTML 502",
        "HTML 200",
        "500",
        "terminated",
        "busy",
        "gateway timeout",
        "Retry-After too long",
        "403",
        "redirect",
        "tools",
        "bad call",
        "context",
        "reset",
        "no lines",
        "old server's error line",
        "only loaded",
    ],
)
async def test_ups_2_only_what_may_pass_is_tried_again_and_at_most_twice(script, kind, requests):
    async with serving_provider(script) as (upstream, provider):
        with pytest.raises(kind) as caught:
            await events_of(provider)
    assert len(upstream.seen) == requests
    for leaked in (upstream.url, "127.0.0.1", "/root", "html", "runner"):
        assert leaked not in caught.value.message


@pytest.mark.parametrize(
    "failure",
    [
        refuses(503, "server busy"),
        refuses(500, "model runner has unexpectedly stopped"),
        refuses(502, b"x"),
        hangs_up,
        answer(b'{"error":"llama runner process has terminated"}\n'),
    ],
    ids=["busy", "terminated", "bad gateway", "reset", "error line"],
)
async def test_ups_2_two_failures_before_the_first_token_are_survived(failure):
    async with serving_provider(failure, failure, says("Hi")) as (_, provider):
        assert await text_of(provider) == "Hi"


async def test_ups_2_retry_after_is_honoured():
    async with serving_provider(refuses(503, "busy", extra="Retry-After: 1\r\n"), says("Hi")) as (_, provider):
        began = time.monotonic()
        assert await text_of(provider) == "Hi"
        assert time.monotonic() - began >= 1


async def test_ups_2_host_that_keeps_failing_is_left_alone():
    async with serving_provider(refuses(500, "boom")) as (upstream, provider):
        for _ in range(5):
            with pytest.raises(UpstreamError):
                await events_of(provider)
        with pytest.raises(UpstreamUnreachable) as caught:
            await events_of(provider)
    assert len(upstream.seen) == 5
    assert 0 < int(caught.value.headers["retry-after"]) <= 15


async def test_unknown_model_names_those_that_are_installed():
    async with serving_provider(models={"qwen3:8b": {}, "m:latest": {}}) as (_, provider):
        with pytest.raises(ModelNotFound) as caught:
            await events_of(provider, ask(model="nope"))
    assert "m:latest, qwen3:8b" in caught.value.message
    assert "ollama pull nope" in caught.value.message


async def test_model_removed_since_it_was_described_is_not_found():
    async with serving_provider(refuses(404, "model 'm' not found")) as (upstream, provider):
        await provider.describe("m")
        upstream.models = {"other:latest": {}}
        with pytest.raises(ModelNotFound, match="other:latest"):
            await events_of(provider)


# ---- a different request helps ------------------------------------------------------------------


async def test_think_is_dropped_when_the_server_knows_none():
    script = refuses(400, '"m" does not support thinking')
    async with serving_provider(script, says("Hi"), models={"m:latest": THINKER}) as (upstream, provider):
        assert await text_of(provider, ask(reasoning_effort="high")) == "Hi"
    assert ["think" in body for body in upstream.bodies] == [True, False]


async def test_malformed_call_is_tried_again_at_temperature_zero():
    async with serving_provider(refuses(500, "error parsing tool call: raw='{'"), says("Hi")) as (upstream, provider):
        assert await text_of(provider) == "Hi"
    assert [body["options"]["temperature"] for body in upstream.bodies] == [0.7, 0]


async def test_overflow_found_by_the_server_gets_a_larger_window_once():
    overflow = refuses(400, '{"error":{"message":"x","type":"exceed_context_size_error"}}')
    async with serving_provider(overflow, says("Hi"), models={"m:latest": THINKER}) as (upstream, provider):
        assert await text_of(provider, ask("x" * 9000)) == "Hi"
    assert [body["options"]["num_ctx"] for body in upstream.bodies] == [4096, 8192]


@pytest.mark.parametrize("reason", ["stop", "length"])
async def test_answer_of_nothing_but_thinking_is_asked_for_once_more_without(reason):
    thinks = answer(line("", thinking="Hm"), last(reason))
    async with serving_provider(thinks, says("42"), models={"m:latest": THINKER}) as (upstream, provider):
        events = await events_of(provider)
    assert events == [ReasoningDelta("Hm"), TextDelta("42"), Usage(114, 12, 6), Finished("stop")]
    assert [body.get("think") for body in upstream.bodies] == [None, False]


async def test_no_text_twice_is_an_error_and_never_an_empty_success():
    async with serving_provider(answer(last())) as (upstream, provider):
        with pytest.raises(ModelFault):
            await events_of(provider)
    assert len(upstream.seen) == 2
    assert "think" not in upstream.bodies[1]


async def test_no_text_twice_within_the_token_limit_ends_with_length():
    script = answer(line("", thinking="Hm"), last("length"))
    async with serving_provider(script, models={"m:latest": THINKER}) as (_, provider):
        events = await events_of(provider)
    assert events[-1].reason == "length"
    assert events[-1].detail


async def test_stop_sequence_met_at_once_is_an_empty_answer():
    async with serving_provider(answer(last())) as (upstream, provider):
        events = await events_of(provider, ask(sampling=Sampling(stop=("x",))))
    assert events == [Usage(57, 6), Finished("stop")]
    assert len(upstream.seen) == 1


async def test_calls_cut_by_the_token_limit_end_with_length_and_are_not_asked_for_again():
    script = answer(line("", tool_calls=[call("clock", '{"a":')]), last("length"))
    async with serving_provider(script) as (upstream, provider):
        events = await events_of(provider, ask(tools=(CLOCK,)))
    assert [type(event) for event in events] == [Usage, Finished]
    assert events[-1].reason == "length"
    assert len(upstream.seen) == 1


# ---- leaving early ------------------------------------------------------------------------------


async def endless(peer):
    await peer.head()
    sending = asyncio.create_task(_send_for_ever(peer))
    await peer.closed_by_client()
    sending.cancel()


async def _send_for_ever(peer):
    while True:
        await peer.chunk(line("more "))
        await asyncio.sleep(0.01)


async def test_ups_3_closing_the_generator_closes_the_upstream_at_once():
    async with serving_provider(endless) as (upstream, provider):
        async with aclosing(provider.stream(ask())) as stream:
            async for _ in stream:
                break
        await asyncio.wait_for(upstream.seen[0].closed.wait(), 1)


@pytest.mark.parametrize("script", [endless, is_silent], ids=["while it speaks", "before it speaks"])
async def test_ups_3_cancelling_the_task_closes_the_upstream_at_once(script):
    async with serving_provider(script) as (upstream, provider):
        await provider.describe("m")
        task = asyncio.create_task(events_of(provider))
        await until(lambda: upstream.seen)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(upstream.seen[0].closed.wait(), 1)


async def test_ups_3_cancelling_while_waiting_to_retry_asks_no_more():
    async with serving_provider(refuses(503, "busy", extra="Retry-After: 5\r\n")) as (upstream, provider):
        task = asyncio.create_task(events_of(provider))
        await until(lambda: upstream.seen)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(upstream.seen) == 1


async def test_slots_come_back_after_cancel_error_and_success():
    async with serving_provider(endless, hangs_up, hangs_up, hangs_up, says("Hi"), ollama_num_parallel=1) as (_, p):
        async with aclosing(p.stream(ask())) as stream:
            await anext(stream)
        with pytest.raises(UpstreamCut):
            await events_of(p)
        assert await asyncio.wait_for(text_of(p), 1) == "Hi"


async def test_slot_is_free_as_soon_as_the_answer_has_ended():
    async with serving_provider(says("Hi"), ollama_num_parallel=1) as (_, provider):
        async for event in provider.stream(ask()):
            if isinstance(event, Finished):
                assert await asyncio.wait_for(text_of(provider), 1) == "Hi"


async def test_no_more_than_num_parallel_requests_run_at_once():
    running, most = 0, 0

    async def script(peer):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        await says("Hi")(peer)

    async with serving_provider(script, ollama_num_parallel=2) as (_, provider):
        assert await asyncio.gather(*(text_of(provider) for _ in range(8))) == ["Hi"] * 8
    assert most == 2


# ---- several hosts ------------------------------------------------------------------------------


async def test_load_is_spread_and_goes_only_where_the_model_is():
    one, two, other = RawUpstream(), RawUpstream(), RawUpstream(models={"x:latest": {}})
    for upstream in (one, two, other):
        upstream.scripts = [answer(line("Hi"), last(), pause_s=0.05)]
    async with serving(one), serving(two), serving(other), provider_of(one, two, other) as provider:
        await asyncio.gather(*(events_of(provider) for _ in range(6)))
    assert (len(one.seen), len(two.seen), len(other.seen)) == (3, 3, 0)


async def test_ups_2_failing_host_is_replaced_by_another_before_the_first_token():
    ill, well = RawUpstream(scripts=[hangs_up]), RawUpstream(scripts=[says("Hi")])
    async with serving(ill), serving(well), provider_of(ill, well) as provider:
        began = time.monotonic()
        assert await text_of(provider) == "Hi"
    assert (len(ill.seen), len(well.seen)) == (1, 1)
    assert time.monotonic() - began < 2


async def test_one_host_down_does_not_hide_the_models_of_the_other():
    async with serving(RawUpstream()) as upstream:
        provider = OllamaProvider(settings(free_url(), upstream.url))
        assert [info.id for info in await provider.list_models()] == ["m:latest"]
        assert await text_of(provider) == "Hi"
        assert await provider.reachable()
        await provider.aclose()


# ---- start --------------------------------------------------------------------------------------


async def test_creating_the_provider_opens_nothing():
    provider = create(ModelServices(settings("http://127.0.0.1:1"), embedder=None))
    assert provider.name == "ollama"
    assert provider._session is None
    await provider.aclose()


@pytest.mark.parametrize(("name", "value"), [("ollama_host", ("ftp://x",)), ("ollama_keep_alive", "forever")])
def test_bad_setting_stops_the_start(name, value):
    given = load_settings(_env_file=None, **{name: value})
    with pytest.raises(SettingsError, match=name.upper()):
        OllamaProvider(given)


async def test_reachable_tells_ollama_from_silence_and_from_others():
    async def hold(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with serving_provider() as (upstream, provider):
        assert await provider.reachable()
        assert await provider.version() == "0.12.11"
        for url in (free_url(), f"http://127.0.0.1:{port}", f"{upstream.url}/elsewhere"):
            other = OllamaProvider(settings(url))
            began = time.monotonic()
            assert not await other.reachable()
            assert time.monotonic() - began < 1.6
            await other.aclose()
    silent.close()
    await silent.wait_closed()
