"""The composition root: settings in, services out. The only place that knows adapters, by name, late."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend.config.secrets_file import signing_key
from backend.config.settings import Settings
from backend.core.registry import AgentEntry, discover_agents
from backend.core.router import Router
from backend.core.toolbox import ToolRegistry
from backend.embeddings.known import KnownEmbedders
from backend.embeddings.port import Embedder, OneEmbedder
from backend.embeddings.rerank_port import Reranker
from backend.llm.port import ModelProvider, ModelServices
from backend.loaders.port import Loader
from backend.models.errors import SettingsError
from backend.storage.stores import Stores
from backend.tasks.answering import Answering
from backend.tasks.attachments import Attachments
from backend.tasks.collection_index import CollectionIndexer
from backend.tasks.collections import Collections
from backend.tasks.embedding_task import EmbeddingTask
from backend.tasks.housekeeping import Housekeeping
from backend.tasks.ingest_task import IngestTask
from backend.tasks.live_runs import LiveRuns
from backend.tasks.model_catalog import ModelCatalog
from backend.tasks.page_images import PageImages
from backend.tasks.partial_uploads import PartialUploads
from backend.tasks.responses import Responses
from backend.tasks.runs import Runs
from backend.tasks.sharing import Sharing
from backend.tasks.sign_in import SignIn
from backend.tasks.table_import import TableImport
from backend.tools.port import ToolServices
from backend.tools.retrieval import Retriever
from backend.vector_store.port import VectorStore
from backend.workers.port import Worker
from backend.workers.sandbox_port import Sandbox

log = logging.getLogger("hearth.bootstrap")

STORAGE_ENGINE = "json_files"
DEFAULT_EMBEDDER = "minilm"
SANDBOX_TOOL = "python_code"
"""What is withdrawn when the self-test of the sandbox finds nothing that holds."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a running server consists of. Tests build one with fakes in place of adapters."""

    settings: Settings
    stores: Stores
    providers: Mapping[str, ModelProvider]
    embedder: Embedder
    vectors: VectorStore
    worker: Worker
    sandbox: Sandbox
    catalog: ModelCatalog
    registry: ToolRegistry
    agents: Mapping[str, AgentEntry]
    router: Router
    answering: Answering
    runs: Runs
    ingest: IngestTask
    embedding: EmbeddingTask
    sign_in: SignIn
    responses: Responses
    collections: Collections
    sharing: Sharing
    uploads: PartialUploads
    page_images: PageImages
    housekeeping: Housekeeping
    embedders: KnownEmbedders
    retriever: Retriever

    async def start(self) -> None:
        """Take up what an earlier process left half done."""
        await self.ingest.resume()
        await self.collections.resume()
        self.housekeeping.start()
        self.sandbox.prepare(partial(self.registry.withdraw, SANDBOX_TOOL))

    async def aclose(self) -> None:
        """Stop background work, then close what holds connections, processes and files."""
        await self.responses.aclose()
        await self.housekeeping.aclose()
        await self.collections.aclose()
        await self.ingest.aclose()
        await self.router.aclose()
        await self.registry.aclose()
        for provider in self.providers.values():
            await provider.aclose()
        await self.embedding.aclose()
        await self.retriever.aclose()
        await self.embedders.aclose()
        await self.embedder.aclose()
        await self.vectors.aclose()
        await self.worker.aclose()
        await self.sandbox.aclose()
        await self.stores.aclose()


def build(settings: Settings) -> Services:
    """Choose the adapters that the settings name and join them. Opens no connection and starts no process.

    Raises SettingsError when a setting names something that does not exist or is not installed.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"DATA_DIR='{settings.data_dir}' is no folder that can be written ({error.strerror}): name another."
        ) from None
    stores: Stores = _module("storage", STORAGE_ENGINE).create(settings)
    embedder = create_embedder(settings)
    embedders = KnownEmbedders(embedder, partial(create_embedder, settings))
    vectors: VectorStore = _module("vector_store", settings.vector_db_type).create(settings)
    worker: Worker = _module("workers", "process").create(settings)
    sandbox: Sandbox = _module("workers", "sandbox").create(settings)
    providers = discover_providers(ModelServices(settings, embedder))
    if settings.llm_provider not in ("auto", *providers):
        raise SettingsError(
            f"LLM_PROVIDER={settings.llm_provider!r} is not allowed: use auto or one of {', '.join(providers)}."
        )
    retriever = Retriever(embedders, vectors, stores.documents, stores.collections, create_reranker(settings))
    tool_services = ToolServices(
        settings,
        worker,
        embedder,
        vectors,
        stores.documents,
        stores.artifacts,
        stores.tables,
        stores.users,
        sandbox,
        stores.collections,
        embedders,
        retriever=retriever,
    )
    registry = ToolRegistry.discover(tool_services)
    agents = discover_agents()
    catalog = ModelCatalog(providers, settings.llm_provider, settings.ollama_model, embedder.name)
    ways = {name: agent.when_to_use for name, agent in agents.items()}
    router = Router(embedder, ways, asks_model=settings.router_asks_model)
    live = LiveRuns()
    loaders = discover_loaders()
    ingest = IngestTask(
        settings,
        stores.documents,
        vectors,
        embedder,
        worker,
        loaders,
        TableImport(settings, stores.tables, worker),
        embedders,
    )
    collections = create_collections(stores, vectors, embedder, ingest, retriever)
    uploads = PartialUploads(settings, stores.uploads, ingest)
    attachments = Attachments(settings, stores.documents, vectors, embedder, worker, loaders, ingest.events, retriever)
    answering = Answering(settings, stores, catalog, router, registry, agents, live, attachments)
    return Services(
        settings=settings,
        stores=stores,
        providers=providers,
        embedder=embedder,
        vectors=vectors,
        worker=worker,
        sandbox=sandbox,
        catalog=catalog,
        registry=registry,
        agents=agents,
        router=router,
        answering=answering,
        runs=Runs(stores, live),
        ingest=ingest,
        embedding=EmbeddingTask(embedder, catalog, partial(create_named_embedder, settings)),
        sign_in=SignIn(stores, signing_key(settings), settings.jwt_expiration_hours),
        responses=Responses(stores, answering),
        collections=collections,
        sharing=Sharing(stores.collections, stores.documents, stores.users),
        uploads=uploads,
        page_images=PageImages(stores.documents, worker),
        housekeeping=Housekeeping([ingest.sweep, collections.sweep, uploads.sweep]),
        embedders=embedders,
        retriever=retriever,
    )


def create_collections(
    stores: Stores,
    vectors: VectorStore,
    embedder: Embedder,
    ingest: IngestTask,
    retriever: Retriever | None = None,
) -> Collections:
    """Joined with the ingestion, so that a document that is deleted leaves its collections too."""
    finder = retriever or Retriever(OneEmbedder(embedder), vectors, stores.documents, stores.collections)
    indexer = CollectionIndexer(stores.collections, stores.documents, vectors, embedder, ingest)
    collections = Collections(stores.collections, stores.documents, vectors, finder, indexer)
    ingest.when_deleted.append(collections.forget)
    return collections


def create_embedder(settings: Settings, model: str | None = None) -> Embedder:
    """EMBEDDING_MODEL is `all-MiniLM-L6-v2`, or `ADAPTER:NAME` where ADAPTER is a file of backend/embeddings.

    `model`, instead of it, is the name of an embedder, which has the same form.
    """
    model = settings.embedding_model if model is None else model
    adapter, separator, name = model.partition(":")
    if not separator:
        adapter, name = DEFAULT_EMBEDDER, model
    embedder: Embedder = _module("embeddings", adapter.replace("-", "_")).create(settings, name)
    return embedder


def create_reranker(settings: Settings) -> Reranker | None:
    """RERANK_MODEL is empty, for none, or `ADAPTER:NAME` where ADAPTER is `cross-encoder` or `ollama`."""
    if not settings.rerank_model.strip():
        return None
    adapter, _, name = settings.rerank_model.strip().partition(":")
    if adapter == "port":
        raise SettingsError("RERANK_MODEL names no adapter: use ollama:NAME or cross-encoder:NAME.")
    reranker: Reranker = _module("embeddings", f"rerank_{adapter.replace('-', '_')}").create(settings, name)
    return reranker


def create_named_embedder(settings: Settings, provider: str, model: str) -> Embedder:
    """One model of a provider, by the adapter of backend/embeddings that has the provider's name."""
    embedder: Embedder = _module("embeddings", provider).create(settings, model)
    return embedder


def discover_providers(services: ModelServices) -> dict[str, ModelProvider]:
    """Every file of backend/llm with `create(services)`, by the name of what it makes."""
    made: list[ModelProvider] = [create(services) for create in _attributes("llm", "create")]
    return {provider.name: provider for provider in made}


def discover_loaders() -> list[Loader]:
    """Every file of backend/loaders with a `LOADER`."""
    return _attributes("loaders", "LOADER")


def _attributes(room: str, attribute: str) -> list[Any]:
    """What the modules of a room have under this name, in the order of their files."""
    folder = importlib.import_module(f"backend.{room}")
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    modules = [importlib.import_module(f"backend.{room}.{name}") for name in names]
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]


def _module(room: str, name: str) -> Any:
    """The adapter module `backend.{room}.{name}`."""
    if name == "port" or not name.isidentifier():
        raise SettingsError(f"There is no {room} adapter named {name!r}.")
    try:
        return importlib.import_module(f"backend.{room}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"backend.{room}.{name}":
            raise SettingsError(f"There is no {room} adapter named {name!r}.") from None
        raise SettingsError(
            f"The {name} adapter needs the Python package {error.name}, which is not installed"
            f" (optional groups are listed in pyproject.toml)."
        ) from None
