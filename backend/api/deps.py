"""What handlers ask for by type: the services, the caller, a checked body."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from backend.api.admission import visit_of
from backend.api.errors import invalid
from backend.bootstrap import Services
from backend.core.toolbox import inlined
from backend.models.errors import InvalidRequest, NotAllowed, NotSignedIn, TooLarge
from backend.models.run import Owner
from backend.tasks.sign_in import Identity

Body = TypeVar("Body", bound=BaseModel)
MAX_JSON_DEPTH = 64
MAX_PAGE = 1_000_000
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]


async def identity_of(request: Request) -> Identity:
    """The signed-in caller, by `Authorization: Bearer` or by `x-api-key`. Runs before any body is read."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        credential = request.headers.get("x-api-key", "")
    if not credential.strip():
        raise NotSignedIn("Sign in first: send `Authorization: Bearer` with an API key or an access token.")
    identity = await services_of(request).sign_in.identify(credential.strip())
    visit_of(request).owner = identity.owner
    return identity


CurrentIdentity = Annotated[Identity, Depends(identity_of)]


async def owner_of(identity: CurrentIdentity) -> Owner:
    return identity.owner


CurrentOwner = Annotated[Owner, Depends(owner_of)]


async def admitted(request: Request, owner: CurrentOwner) -> Owner:
    """The owner, with a place among the running requests until the answer has ended.

    Raises TooManyRequests, Overloaded.
    """
    await visit_of(request).admit(request.app.state.admission, owner)
    return owner


AdmittedOwner = Annotated[Owner, Depends(admitted)]
"""For routes whose work is long."""


async def admin_of(identity: CurrentIdentity) -> Identity:
    if identity.user.role != "admin":
        raise NotAllowed("Only an administrator may do this.")
    return identity


CurrentAdmin = Annotated[Identity, Depends(admin_of)]


async def read_json(request: Request, model: type[Body], times: int = 1) -> Body:
    """The body, read under the size limit (`times` MAX_BODY_KB) and checked. Raises TooLarge, InvalidRequest.

    Handlers call this themselves, so that authentication comes before a single byte of the body is parsed.
    """
    return checked(await read_value(request, times), model)


async def read_value(request: Request, times: int = 1) -> Any:
    """The body as JSON. Raises TooLarge, InvalidRequest."""
    raw = await read_body(request, services_of(request).settings.max_body_kb * 1024 * times)
    _check_depth(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", code="invalid_json") from None


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a body that the handler reads itself; definitions stand where they are used."""
    schema = {**inlined(model.model_json_schema()), "title": model.__name__}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def checked(value: Any, model: type[Body]) -> Body:
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_json")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from None


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, counted while it comes; reading stops at the limit. Raises TooLarge."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(
                f"The request body is larger than {limit // 1024} KiB: send less, or raise MAX_BODY_KB.",
                headers={"connection": "close"},
            )
        parts.append(part)
    return b"".join(parts)


def _check_depth(raw: bytes) -> None:
    """Refuse absurd nesting before a parser recurses into it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_JSON_DEPTH:
        return
    depth = deepest = 0
    # By the regular expression engine, as a loop over megabytes would hold up everybody.
    for bracket in _STRINGS.sub(b"", raw).translate(None, delete=_NO_BRACKETS):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    if deepest > MAX_JSON_DEPTH:
        raise InvalidRequest(f"The request body nests deeper than {MAX_JSON_DEPTH} levels.", code="invalid_json")


def client_address(request: Request) -> str:
    """The caller's address; X-Forwarded-For counts only from TRUSTED_PROXIES, read from the right."""
    peer = request.client.host if request.client else "unknown"
    trusted = services_of(request).settings.trusted_proxies
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _is_trusted(peer, trusted):
        peer = hops.pop()
    return peer


def _is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in trusted)


def base_url_of(request: Request) -> str:
    """Scheme and host as the caller sees them, for links in answers."""
    return f"{request.url.scheme}://{request.url.netloc}"


def page_of(page: int, limit: int, most: int = 200) -> tuple[int, int]:
    """Paging arguments, checked. Raises InvalidRequest."""
    if not 1 <= page <= MAX_PAGE:
        raise InvalidRequest(f"page must be between 1 and {MAX_PAGE}.", param="page", code="invalid_value")
    if not 1 <= limit <= most:
        raise InvalidRequest(f"limit must be between 1 and {most}.", param="limit", code="invalid_value")
    return page, limit
