"""The provider against a socket that fails, stalls and breaks off, and callers that leave early."""

import asyncio
import time
from contextlib import aclosing

import pytest

from backend.llm.ollama import OllamaProvider
from backend.models.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelFault,
    ModelNotFound,
    UpstreamBusy,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from backend.models.messages import Finished, TextDelta
from tests.llm.providing import (
    ask,
    events_of,
    free_url,
    serving_provider,
    settings,
    text_of,
    until,
    until_failure,
)
from tests.llm.raw_upstream import RawUpstream, answer, hangs_up, is_silent, last, line, refuses, says, serving

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
        assert time.monotonic() - began < 2
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
        began = time.monotonic()
        seen, error = await until_failure(provider)
        assert 0.15 < time.monotonic() - began < 5
    assert isinstance(error, UpstreamTimeout)
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
        seen, error = await until_failure(provider)
    assert isinstance(error, UpstreamCut)
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
