"""The whole application in this process, without any Ollama, for tests of what every route has in common."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from backend.api.admission import Admission
from backend.api.app import create_app
from backend.bootstrap import Services
from backend.config.settings import load_settings
from backend.models.run import SERVER, Owner
from backend.utils.auth import DUMMY_HASH


@dataclass(frozen=True, slots=True)
class House:
    """`client` is signed in as `owner`; `stranger` sends no credentials."""

    app: FastAPI
    owner: Owner
    key: str
    client: httpx.AsyncClient
    stranger: httpx.AsyncClient

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    @property
    def admission(self) -> Admission:
        admission: Admission = self.app.state.admission
        return admission


@contextlib.asynccontextmanager
async def open_house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """Nothing of the environment counts; the built-in model answers."""
    app = create_app(load_settings(data_dir=folder / "data", llm_provider="builtin", _env_file=None, **settings))
    services: Services = app.state.services
    user = await services.stores.users.add_user(SERVER, "alice", DUMMY_HASH, "user")
    _, key = await services.sign_in.create_key(user.owner)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    base = "http://127.0.0.1"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base, headers={"authorization": f"Bearer {key}"}) as client,
        httpx.AsyncClient(transport=transport, base_url=base) as stranger,
    ):
        yield House(app, user.owner, key, client, stranger)
