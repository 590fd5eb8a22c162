"""The provider against a socket that answers as told: the good path, several hosts, the start."""

import asyncio
import time
from contextlib import aclosing

import pytest

from backend.config.settings import load_settings
from backend.llm.ollama import OllamaProvider, create
from backend.llm.port import ModelServices, ResponseFormat, Sampling
from backend.models.errors import (
    ModelFault,
    SettingsError,
)
from backend.models.messages import Finished, ReasoningDelta, TextDelta, ToolCallMade, Usage
from tests.llm.providing import (
    CLOCK,
    THINKER,
    ask,
    events_of,
    free_url,
    provider_of,
    serving_provider,
    settings,
    text_of,
)
from tests.llm.raw_upstream import RawUpstream, answer, call, hangs_up, last, line, refuses, says, serving

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
        serving_provider(script, models={"m:latest": THINKER}, ollama_gap_timeout=20, ollama_timeout=20) as (
            _,
            provider,
        ),
        aclosing(provider.stream(ask())) as stream,
    ):
        assert await asyncio.wait_for(anext(stream), 5) == TextDelta("first")


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
        assert await text_of(provider) == "Hi"
    assert (len(ill.seen), len(well.seen)) == (1, 1)


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
            assert time.monotonic() - began < 2
            await other.aclose()
    silent.close()
    await silent.wait_closed()
