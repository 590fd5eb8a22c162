"""Which model an id means, with and without an upstream."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from backend.llm.port import ChatRequest, ModelInfo, ModelProvider
from backend.models.errors import HearthError, ModelNotFound, UpstreamUnreachable
from backend.models.messages import Event, Finished
from backend.tasks.model_catalog import ModelCatalog


class FakeProvider:
    """Serves named models, or is down."""

    def __init__(self, name: str, models: list[str], *, down: bool = False) -> None:
        self.name = name
        self._models = models
        self._down = down

    async def list_models(self) -> list[ModelInfo]:
        if self._down:
            raise UpstreamUnreachable("Ollama does not answer: start it with `ollama serve`.")
        can = {True: frozenset({"completion", "tools"}), False: frozenset({"completion"})}
        return [ModelInfo(model, self.name, can["tools" in model], 4096) for model in self._models]

    async def describe(self, model: str) -> ModelInfo:
        for info in await self.list_models():
            if info.id == model:
                return info
        raise ModelNotFound(f"no {model}")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield Finished("stop")

    async def aclose(self) -> None:
        return None


def catalog(
    models: list[str], *, down: bool = False, setting: str = "auto", preferred: str | None = None
) -> ModelCatalog:
    providers: dict[str, ModelProvider] = {
        "builtin": FakeProvider("builtin", ["hearth-builtin"]),
        "ollama": FakeProvider("ollama", models, down=down),
    }
    return ModelCatalog(providers, setting, preferred)


@pytest.mark.parametrize(
    ("model", "weights", "agent"),
    [
        ("hearth", "a:1b", "auto"),
        ("hearth-chat", "a:1b", "chat"),
        ("hearth-react", "a:1b", "react"),
        ("hearth-plan", "a:1b", "plan_execute"),
        ("hearth-documents", "a:1b", "documents"),
        ("b:2b", "b:2b", "auto"),
        ("hearth-builtin", "hearth-builtin", "auto"),
    ],
)
async def test_id_means_weights_and_way(model: str, weights: str, agent: str) -> None:
    found = await catalog(["a:1b", "b:2b"]).resolve(model)
    assert (found.info.id, found.agent) == (weights, agent)


async def test_preferred_model_is_the_default() -> None:
    assert (await catalog(["a:1b", "b:2b"], preferred="b:2b").resolve("hearth")).info.id == "b:2b"


async def test_default_can_call_tools_if_any_model_can() -> None:
    assert (await catalog(["a:1b", "b-tools:2b", "c-tools:3b"]).resolve("hearth")).info.id == "b-tools:2b"


@pytest.mark.parametrize("models", [[], ["a:1b"]])
async def test_builtin_stands_in_and_says_why(models: list[str]) -> None:
    without = catalog(models, down=bool(models))
    assert (await without.resolve("hearth")).info.id == "hearth-builtin"
    assert "ollama" in (await without.why_builtin() or "")


async def test_nothing_to_explain_when_a_model_serves() -> None:
    assert await catalog(["a:1b"]).why_builtin() is None


async def test_named_model_of_a_provider_that_is_down_is_unreachable_not_missing() -> None:
    with pytest.raises(UpstreamUnreachable):
        await catalog(["a:1b"], down=True).resolve("a:1b")


async def test_unknown_model_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        await catalog(["a:1b"]).resolve("nope")


@pytest.mark.parametrize(("models", "down"), [([], False), (["a:1b"], True)], ids=["empty", "down"])
async def test_insisting_on_ollama_is_an_error_when_there_is_none(models: list[str], down: bool) -> None:
    with pytest.raises(HearthError):
        await catalog(models, down=down, setting="ollama").resolve("hearth")


async def test_insisting_on_builtin_never_asks_ollama() -> None:
    found = await catalog(["a:1b"], setting="builtin").resolve("hearth")
    assert found.info.id == "hearth-builtin"


async def test_list_begins_with_hearth_and_survives_a_dead_provider() -> None:
    ids = [info.id for info in await catalog(["a:1b"]).list_models()]
    assert ids[0] == "hearth" and ids[-1] == "hearth-builtin" and "a:1b" in ids
    assert "hearth-builtin" in [info.id for info in await catalog(["a:1b"], down=True).list_models()]
