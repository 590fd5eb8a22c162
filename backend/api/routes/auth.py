"""Signing in, who am I, API keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.deps import (
    CurrentIdentity,
    ServicesDep,
    checked,
    client_address,
    json_body,
    read_body,
    read_json,
    read_value,
)
from backend.models.accounts import ApiKey, User
from backend.models.schemas import KeyRequest, LoginRequest

router = APIRouter(prefix="/api/auth", tags=["auth"])

MAX_LOGIN_BYTES = 16_384


def public_user(user: User) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "role": user.role, "created_at": user.created_at}


def public_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
    }


@router.post("/login", openapi_extra=json_body(LoginRequest))
async def login(request: Request, services: ServicesDep) -> dict[str, Any]:
    """JSON `{username, password}` or an OAuth2 password form."""
    body = await _credentials(request)
    user, token = await services.sign_in.login(body.username, body.password, client_address(request))
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": services.sign_in.token_seconds,
        "user": public_user(user),
    }


async def _credentials(request: Request) -> LoginRequest:
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raw = await read_body(request, MAX_LOGIN_BYTES)
        form = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True)
        return checked({name: values[-1] for name, values in form.items()}, LoginRequest)
    return checked(await read_value(request), LoginRequest)


@router.get("/me")
async def me(identity: CurrentIdentity) -> dict[str, Any]:
    """The signed-in user."""
    return public_user(identity.user)


@router.post("/logout", status_code=204, response_class=Response)
async def logout(identity: CurrentIdentity, services: ServicesDep) -> Response:
    """Refuse this access token from now on."""
    await services.sign_in.logout(identity)
    return Response(status_code=204)


@router.get("/keys")
async def list_keys(identity: CurrentIdentity, services: ServicesDep) -> dict[str, Any]:
    """The caller's API keys, without their text."""
    keys = await services.stores.users.list_keys(identity.owner)
    return {"keys": [public_key(key) for key in keys]}


@router.post("/keys", status_code=201, openapi_extra=json_body(KeyRequest))
async def create_key(request: Request, identity: CurrentIdentity, services: ServicesDep) -> dict[str, Any]:
    """A new API key; its text is shown in this answer only."""
    body = await read_json(request, KeyRequest)
    key, text = await services.sign_in.create_key(identity.owner, body.name)
    return {**public_key(key), "key": text}


@router.delete("/keys/{key_id}", status_code=204, response_class=Response)
async def revoke_key(key_id: str, identity: CurrentIdentity, services: ServicesDep) -> Response:
    """Refuse this key from now on."""
    await services.stores.users.remove_key(identity.owner, key_id)
    return Response(status_code=204)
