"""Builds the application: rooms joined to routes, one middleware, one error shape."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from backend import __version__
from backend.api.errors import add_error_handlers
from backend.api.middleware import LOOPBACK_HOSTS, Edge
from backend.api.openapi import describe
from backend.api.routes import (
    artifacts,
    auth,
    chat,
    conversations,
    embeddings,
    files,
    health,
    mcp,
    models,
    page,
    runs,
    tools,
)
from backend.bootstrap import Services, build
from backend.config.settings import Settings, load_settings

EXPOSED_HEADERS = ["x-request-id", "x-session-id", "x-run-id", "retry-after", "openai-processing-ms"]


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
    app = FastAPI(
        title="Hearth", version=__version__, lifespan=lifespan, redirect_slashes=False, docs_url=None, redoc_url=None
    )
    app.state.services = held
    add_error_handlers(app)
    for resource in (artifacts, auth, chat, conversations, embeddings, files, health, mcp, models, runs, tools, page):
        app.include_router(resource.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    app.router.default = page.Fallback(app.router.default)
    add_middleware(app, held.settings)
    return app


def add_middleware(app: FastAPI, settings: Settings) -> None:
    """Outermost first at run time: CORS (only when configured), then the edge."""
    loopback = settings.server_host in LOOPBACK_HOSTS
    hosts = LOOPBACK_HOSTS | {host.lower() for host in settings.allowed_hosts} if loopback else None
    app.add_middleware(Edge, hosts=hosts, most=settings.max_concurrent_requests)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )
