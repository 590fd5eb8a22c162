"""`users` and `keys`: accounts by an operator with shell access."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from backend.bootstrap import Services, build
from backend.config.settings import load_settings
from backend.models.accounts import User
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import SERVER
from backend.utils.auth import new_password


async def run(arguments: argparse.Namespace) -> int:
    services = build(load_settings())
    try:
        if arguments.command == "users":
            await (_add_user if arguments.action == "add" else _list_users)(services, arguments)
        else:
            actions = {"create": _create_key, "list": _list_keys, "revoke": _revoke_key}
            await actions[arguments.action](services, arguments)
    finally:
        await services.aclose()
    return 0


async def _add_user(services: Services, arguments: argparse.Namespace) -> None:
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise InvalidRequest("No password came on standard input.")
    else:
        password = new_password()
    user = await services.sign_in.create_user(arguments.name, password, "admin" if arguments.admin else "user")
    print(f"Added {user.username} ({user.role}).", file=sys.stderr)
    if not arguments.password_stdin:
        print(password)


async def _list_users(services: Services, arguments: argparse.Namespace) -> None:
    for user in await services.stores.users.list_users(SERVER):
        print(f"{user.username}\t{user.role}\t{'disabled' if user.disabled else 'active'}\t{_day(user.created_at)}")


async def _create_key(services: Services, arguments: argparse.Namespace) -> None:
    user = await _user(services, arguments.user)
    _, text = await services.sign_in.create_key(user.owner, arguments.name)
    print(text)


async def _list_keys(services: Services, arguments: argparse.Namespace) -> None:
    only = await _user(services, arguments.user) if arguments.user else None
    names = {user.id: user.username for user in await services.stores.users.list_users(SERVER)}
    for key in await services.stores.users.list_keys(SERVER, only.id if only else None):
        used = _day(key.last_used_at) if key.last_used_at else "never used"
        print(f"{key.id}\t{key.prefix}…\t{names.get(key.user_id, '?')}\t{key.name}\t{_day(key.created_at)}\t{used}")


async def _revoke_key(services: Services, arguments: argparse.Namespace) -> None:
    matches = [
        key
        for key in await services.stores.users.list_keys(SERVER)
        if key.id == arguments.id or key.prefix == arguments.id.rstrip("…")
    ]
    if len(matches) != 1:
        raise NotFound("No such key, or several with this prefix: use the id that `keys list` shows.")
    await services.stores.users.remove_key(SERVER, matches[0].id)
    print(f"Revoked {matches[0].prefix}….", file=sys.stderr)


async def _user(services: Services, name: str) -> User:
    user = await services.stores.users.find_user(SERVER, name)
    if user is None:
        raise NotFound(f"There is no user {name[:64]!r}: `users list` shows them.")
    return user


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
