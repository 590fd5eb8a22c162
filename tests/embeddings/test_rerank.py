"""Rerankers: what all of them promise, and what becomes of answers that are of no use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from backend.bootstrap import create_reranker
from backend.config.settings import Settings
from backend.embeddings.rerank_cross_encoder import as_share
from backend.embeddings.rerank_ollama import MAX_PASSAGE_CHARS, OllamaReranker
from backend.embeddings.rerank_port import Reranker
from backend.models.errors import HearthError, ModelNotFound, SettingsError, UpstreamError, UpstreamUnreachable
from tests.fakes.reranker import WordReranker


class Judge:
    """An Ollama that grades each passage by `grade`, or answers what `answer` says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[int, bytes] | None = None

    async def chat(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.asked.append(body)
        if self.answer is not None:
            return web.Response(status=self.answer[0], body=self.answer[1])
        passages = [line for line in body["messages"][1]["content"].split("\n\n") if line.startswith("[")]
        content = orjson.dumps({"grades": [10 if "leave" in passage else 0 for passage in passages]}).decode()
        return web.json_response({"message": {"role": "assistant", "content": content}, "done": True})


@pytest.fixture
async def judge() -> AsyncIterator[tuple[Judge, str]]:
    judge = Judge()
    app = web.Application()
    app.router.add_post("/api/chat", judge.chat)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield judge, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(params=["fake", "ollama"])
async def reranker(request: pytest.FixtureRequest, judge: tuple[Judge, str]) -> AsyncIterator[Reranker]:
    made: Reranker = WordReranker() if request.param == "fake" else OllamaReranker("judge", [judge[1]])
    yield made
    await made.aclose()


async def test_scores_come_in_the_order_of_the_passages_and_lie_between_0_and_1(reranker: Reranker) -> None:
    scores = await reranker.scores("annual leave", ["visitors park", "days of annual leave", "annual leave"])
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)
    assert scores[0] < scores[1] and scores[0] < scores[2]


async def test_nothing_gives_nothing(reranker: Reranker) -> None:
    assert await reranker.scores("annual leave", []) == []


async def test_odd_texts_are_scored_all_the_same(reranker: Reranker) -> None:
    assert len(await reranker.scores("annual \ud800 leave", ["", "a\ud800\x00b", "leave " * 10_000])) == 3


async def test_all_passages_go_in_one_call_of_bounded_size(judge: tuple[Judge, str]) -> None:
    reranker = OllamaReranker("judge", [judge[1]])
    await reranker.scores("leave", ["leave\n\n[2] " + "x" * 5000] * 30)
    (body,) = judge[0].asked
    assert body["options"]["temperature"] == 0 and body["options"]["num_predict"] <= 300
    assert body["format"]["properties"]["grades"]["minItems"] == 30
    assert len(body["messages"][1]["content"]) < 30 * (MAX_PASSAGE_CHARS + 20)
    await reranker.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"no json"),
        (200, b"[]"),
        (200, b'{"message": {"content": "ten"}}'),
        (200, b'{"message": {"content": "{\\"grades\\": [1]}"}}'),
        (200, b'{"message": {"content": "{\\"grades\\": [1, \\"x\\"]}"}}'),
        (500, b"{}"),
    ],
    ids=["no JSON", "a list", "no JSON inside", "too few", "no number", "500"],
)
async def test_an_answer_of_no_use_is_an_error_of_the_house(
    judge: tuple[Judge, str], answer: tuple[int, bytes]
) -> None:
    judge[0].answer = answer
    reranker = OllamaReranker("judge", [judge[1]])
    with pytest.raises(UpstreamError):
        await reranker.scores("leave", ["a", "b"])
    await reranker.aclose()


async def test_a_missing_model_and_a_missing_server_are_told_apart(judge: tuple[Judge, str]) -> None:
    judge[0].answer = (404, b"{}")
    for host, error in ((judge[1], ModelNotFound), ("http://127.0.0.1:9", UpstreamUnreachable)):
        reranker = OllamaReranker("judge", [host])
        with pytest.raises(error):
            await reranker.scores("leave", ["a", "b"])
        await reranker.aclose()


async def test_a_model_that_cannot_think_is_asked_without_it(judge: tuple[Judge, str]) -> None:
    judge[0].answer = (400, b"{}")
    reranker = OllamaReranker("judge", [judge[1]])
    with pytest.raises(HearthError):
        await reranker.scores("leave", ["a", "b"])
    assert [("think" in body) for body in judge[0].asked] == [True, False]
    await reranker.aclose()


@pytest.mark.parametrize(
    ("model", "name"), [("", None), ("ollama:qwen3:4b", "ollama:qwen3:4b"), ("cross-encoder:a/b", "cross-encoder:a/b")]
)
def test_the_setting_names_adapter_and_model(model: str, name: str | None) -> None:
    made = create_reranker(Settings(_env_file=None, rerank_model=model))
    assert (made.name if made is not None else None) == name


@pytest.mark.parametrize("model", ["ollama:", "cross-encoder:", "port:x", "nothing:x", "../x:y"])
def test_a_setting_that_names_nothing_is_refused_at_start(model: str) -> None:
    with pytest.raises(SettingsError):
        create_reranker(Settings(_env_file=None, rerank_model=model))


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.3, 0.3, 0.3), (-11.0, 0, 0.001), (9.0, 0.999, 1), (-1e9, 0, 1e-9)]
)
def test_logits_become_shares(value: float, low: float, high: float) -> None:
    assert low <= as_share(value) <= high
