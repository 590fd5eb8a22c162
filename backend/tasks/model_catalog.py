"""Which models there are, and which weights and way an id means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from backend.llm.port import EmbeddingProvider, Model, ModelInfo, ModelProvider
from backend.models.errors import InvalidRequest, ModelNotFound, UpstreamError, UpstreamUnreachable

log = logging.getLogger("hearth.models")

BUILTIN_ID = "hearth-builtin"
OF_OPENAI = ("text-embedding-", "openai/")
"""How names of models begin that no provider here ever has: an unreachable one is no reason to ask again."""
AGENT_MODELS: Mapping[str, str] = {
    "hearth": "auto",
    "hearth-chat": "chat",
    "hearth-react": "react",
    "hearth-plan": "plan_execute",
    "hearth-documents": "documents",
}
"""Ids that mean the default weights, and the agent each fixes."""

EMBEDDING_ALIASES = frozenset({"hearth", "hearth-embedding", "text-embedding-3-small", "text-embedding-ada-002"})
"""Names under which clients may ask for the server's own embedder without knowing it. `hearth` also chats."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a model id came to. `agent` is `auto`, `chat` or an agent's name."""

    provider: ModelProvider
    info: ModelInfo
    agent: str

    def model(self) -> Model:
        return Model(self.provider, self.info)


class ModelCatalog:
    """The models of all providers. `setting` is LLM_PROVIDER; `preferred` is OLLAMA_MODEL; `embedder` the name of the
    server's own embedder, which does not chat."""

    def __init__(
        self, providers: Mapping[str, ModelProvider], setting: str, preferred: str | None, embedder: str = ""
    ) -> None:
        self._builtin = providers["builtin"]
        self._others = [p for name, p in providers.items() if name != "builtin" and setting in ("auto", name)]
        self._must_have_upstream = setting not in ("auto", "builtin")
        self._preferred = preferred
        self._embeds_only = {*EMBEDDING_ALIASES, embedder} - {*AGENT_MODELS, ""}

    async def default(self) -> tuple[ModelProvider, ModelInfo]:
        """The default weights: OLLAMA_MODEL, or the first installed chat model (one that can call tools, if any),
        else the built-in model.

        Raises UpstreamUnreachable or ModelNotFound when LLM_PROVIDER asks for a provider that has none.
        """
        problem: UpstreamError | ModelNotFound | None = None
        for provider in self._others:
            try:
                if self._preferred:
                    return provider, await provider.describe(self._preferred)
                models = await provider.list_models()
                if models:
                    # One that can call tools serves every way; the others only some.
                    return provider, next((m for m in models if "tools" in m.capabilities), models[0])
                problem = ModelNotFound("No chat model is installed: pull one, e.g. `ollama pull llama3.2`.")
            except (UpstreamError, ModelNotFound) as error:
                problem = error
        if problem is not None and self._must_have_upstream:
            raise problem
        return self._builtin, await self._builtin.describe(BUILTIN_ID)

    async def why_builtin(self) -> str | None:
        """One sentence for people when the built-in model serves, else None."""
        if not self._others:
            return "The built-in model answers because LLM_PROVIDER=builtin."
        try:
            provider, _ = await self.default()
        except (UpstreamError, ModelNotFound) as error:
            return error.message
        if provider is not self._builtin:
            return None
        for each in self._others:
            try:
                if await each.list_models():
                    wanted = self._preferred or "the model"
                    return (
                        f"The built-in model answers because {wanted} is not installed in Ollama:"
                        f" run `ollama pull {wanted}`."
                    )
            except UpstreamError:
                return (
                    "The built-in model answers because no Ollama is reachable: start it with `ollama serve`,"
                    " pull a model (`ollama pull llama3.2`), or set OLLAMA_HOST."
                )
        return "The built-in model answers because Ollama has no chat model: pull one, e.g. `ollama pull llama3.2`."

    async def resolve(self, model_id: str) -> Resolved:
        """Raises ModelNotFound naming what there is, UpstreamUnreachable when that provider is down, InvalidRequest for
        the server's own embedder."""
        if model_id in AGENT_MODELS:
            provider, info = await self.default()
            return Resolved(provider, info, AGENT_MODELS[model_id])
        if model_id in self._embeds_only:
            raise InvalidRequest(
                f"The model {model_id!r} is an embedding model and cannot chat: choose another, e.g. 'hearth'.",
                param="model",
                code="invalid_value",
            )
        if model_id == BUILTIN_ID:
            return Resolved(self._builtin, await self._builtin.describe(BUILTIN_ID), "auto")
        unreachable: UpstreamUnreachable | None = None
        missing: ModelNotFound | None = None
        for provider in self._others:
            try:
                return Resolved(provider, await provider.describe(model_id), "auto")
            except ModelNotFound as error:
                missing = missing or error
            except UpstreamUnreachable as error:
                unreachable = error
        # Whoever insists on a provider waits for it; otherwise the built-in model serves, and what cannot be asked
        # now does not exist: an honest 404 is not retried by clients, a 503 would be.
        if unreachable is not None and (self._must_have_upstream or _looks_installed(model_id)):
            raise unreachable
        # The provider's own words name what it has, so that a typing error is seen at once.
        raise missing or _unknown(model_id)

    async def list_models(self) -> list[ModelInfo]:
        """Everything that can be named, `hearth` first; providers that are down are left out."""
        provider, info = await self._default_or_builtin()
        models = [
            ModelInfo(name, provider.name, info.capabilities, info.context_length, info.created, 0, "hearth")
            for name in AGENT_MODELS
        ]
        for each in self._others:
            try:
                models += await each.list_models()
            except UpstreamError as error:
                log.info("models of %s are left out: %s", each.name, error.message)
        return [*models, await self._builtin.describe(BUILTIN_ID)]

    async def embedding_models(self) -> list[ModelInfo]:
        """The embedding models of all providers; providers that are down are left out."""
        models: list[ModelInfo] = []
        for each in self._embedding_providers():
            try:
                models += await each.embedding_models()
            except UpstreamError as error:
                log.info("embedding models of %s are left out: %s", each.name, error.message)
        return models

    async def embedding_model(self, model_id: str) -> ModelInfo:
        """A provider's model that makes embeddings.

        Raises InvalidRequest when it can only chat, ModelNotFound, and UpstreamUnreachable when the provider that may
        have it is down.
        """
        if model_id in AGENT_MODELS or model_id == BUILTIN_ID:
            raise _cannot_embed(model_id)
        missing: ModelNotFound | None = None
        unreachable: UpstreamUnreachable | None = None
        for each in self._embedding_providers():
            try:
                info = await each.describe(model_id)
            except ModelNotFound as error:
                missing = error
            except UpstreamUnreachable as error:
                unreachable = error
            else:
                if "embedding" not in info.capabilities:
                    raise _cannot_embed(info.id)
                return info
        if unreachable is not None and not model_id.startswith(OF_OPENAI):
            raise unreachable
        raise missing or _unknown(model_id)

    def _embedding_providers(self) -> list[EmbeddingProvider]:
        return [each for each in self._others if isinstance(each, EmbeddingProvider)]

    async def _default_or_builtin(self) -> tuple[ModelProvider, ModelInfo]:
        try:
            return await self.default()
        except (UpstreamError, ModelNotFound):
            return self._builtin, await self._builtin.describe(BUILTIN_ID)


def _looks_installed(model_id: str) -> bool:
    """Whether an id has the form of an Ollama model (`name:tag`), which may well be there once Ollama is."""
    name, separator, tag = model_id.partition(":")
    return bool(separator and name and tag) and model_id.isprintable() and " " not in model_id


def _unknown(model_id: str) -> ModelNotFound:
    return ModelNotFound(
        f"The model {model_id[:100]!r} does not exist here: GET /v1/models lists those that do.", param="model"
    )


def _cannot_embed(model_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"The model {model_id[:100]!r} makes no embeddings: choose an embedding model, e.g. 'hearth-embedding'.",
        param="model",
        code="invalid_value",
    )
