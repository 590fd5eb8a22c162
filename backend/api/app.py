"""Builds the application: rooms joined to routes, one way in, one error shape."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp

from backend import __version__
from backend.api.admission import Admission
from backend.api.errors import add_error_handlers
from backend.api.middleware import EXPOSED_HEADERS, LOOPBACK_HOSTS, Cors, Edge, Gate
from backend.api.openapi import describe
from backend.api.routes import (
    anthropic,
    artifacts,
    auth,
    chat,
    collections,
    completions,
    conversations,
    embeddings,
    files,
    health,
    mcp,
    models,
    openai_conversations,
    openai_files,
    page,
    page_images,
    responses,
    runs,
    search,
    stored_completions,
    tools,
    vector_stores,
)
from backend.bootstrap import Services, build
from backend.config.settings import Settings, load_settings


def create_app(settings: Settings | None = None, services: Services | None = None) -> FastAPI:
    """The ASGI application. Nothing is opened before its lifespan starts; what it opens, it closes.

    Raises SettingsError.
    """
    if services is None:
        services = build(settings or load_settings())
    held = services

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await held.start()
        try:
            yield
        finally:
            await held.aclose()

    # The usual pages for the OpenAPI document load scripts from elsewhere; the page has its own.
    app = HearthApp(
        title="Hearth", version=__version__, lifespan=lifespan, redirect_slashes=False, docs_url=None, redoc_url=None
    )
    app.state.services = held
    app.state.admission = admission_of(held.settings)
    add_error_handlers(app)
    for resource in (
        anthropic,
        artifacts,
        auth,
        chat,
        completions,
        conversations,
        embeddings,
        files,
        health,
        mcp,
        models,
        openai_conversations,
        openai_files,
        page_images,
        responses,
        runs,
        search,
        stored_completions,
        tools,
        vector_stores,
        collections,
        page,
    ):
        app.include_router(resource.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    app.router.default = page.Fallback(app.router.default)
    return app


class HearthApp(FastAPI):
    """The framework's application with ours around all of it, so that even an answer to a crash has every header."""

    def build_middleware_stack(self) -> ASGIApp:
        """From the inside: the framework, the gate, CORS (only when configured), the edge."""
        settings: Settings = self.state.services.settings
        admission: Admission = self.state.admission
        loopback = settings.server_host in LOOPBACK_HOSTS
        hosts = LOOPBACK_HOSTS | {host.lower() for host in settings.allowed_hosts} if loopback else None
        stack: ASGIApp = Gate(super().build_middleware_stack(), hosts)
        if settings.cors_origins:
            stack = Cors(
                stack,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
                max_age=600,
            )
        return Edge(stack, admission, settings.max_run_tokens)


def admission_of(settings: Settings) -> Admission:
    return Admission(
        settings.max_concurrent_requests,
        settings.max_queued_requests,
        settings.max_requests_per_user,
        settings.queue_timeout,
    )
