"""What a first start makes, and what every start tells the person in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from backend.bootstrap import Services
from backend.models.errors import Conflict, ModelNotFound, UpstreamError
from backend.models.run import SERVER
from backend.utils.auth import new_password

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Shown once, on the console, and stored only as hashes."""

    username: str
    password: str
    api_key: str


async def first_credentials(services: Services) -> Credentials | None:
    """Make the administrator and a first API key if there is no user yet; None otherwise."""
    if await services.stores.users.list_users(SERVER):
        return None
    password = new_password()
    try:
        user = await services.sign_in.create_user(ADMIN, password, "admin")
    except Conflict:
        # Another process on the same folder was faster, and has printed its own.
        return None
    _, key = await services.sign_in.create_key(user.owner, "first key")
    return Credentials(ADMIN, password, key)


async def welcome(services: Services, url: str, made: Credentials | None) -> str:
    """The start-up text: address, model, and what to do when no language model answers."""
    lines = ["", f"  Hearth is running:  {url}", f"  OpenAI base_url:    {url}/v1"]
    try:
        _, model = await services.catalog.default()
        lines.append(f"  Model:              {model.id}")
        problem = await services.catalog.why_builtin()
    except (UpstreamError, ModelNotFound) as error:
        lines.append("  Model:              none")
        problem = error.message
    if made is not None:
        lines += [
            "",
            "  First start: an administrator was made. This is shown once, so keep it.",
            f"    user name:  {made.username}",
            f"    password:   {made.password}",
            f"    API key:    {made.api_key}",
        ]
    if problem is not None:
        lines += ["", f"  NOTE: {problem}"]
    damaged = services.stores.damaged()
    if damaged:
        lines += [
            "",
            f"  WARNING: {len(damaged)} damaged file(s) were set aside (rename a mended one to put it back):",
        ]
        lines += [f"    {path}" for path in damaged[:5]]
    lines += ["", "  Stop with Ctrl+C.", ""]
    return "\n".join(lines)
