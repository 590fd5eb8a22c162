"""Reads the command line and runs one command. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from backend.models.errors import HearthError, SettingsError


def parser() -> argparse.ArgumentParser:
    """Every command and option; docs/cli.md lists them."""
    root = argparse.ArgumentParser(prog="python -m backend", description="Hearth, a local-first agent server.")
    commands = root.add_subparsers(dest="command", metavar="COMMAND")
    serve = commands.add_parser("serve", help="start the server (the default)")
    serve.add_argument("--host", help="overrides SERVER_HOST")
    serve.add_argument("--port", type=int, help="overrides SERVER_PORT")

    users = commands.add_parser("users", help="accounts").add_subparsers(dest="action", required=True)
    add = users.add_parser("add", help="add a user; without --password-stdin a password is made and printed")
    add.add_argument("name")
    add.add_argument("--admin", action="store_true", help="make the user an administrator")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    users.add_parser("list", help="list users")

    keys = commands.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = keys.add_parser("create", help="make a key and print it alone on stdout")
    create.add_argument("--user", required=True)
    create.add_argument("--name", default="", help="a label to recognise the key by")
    listing = keys.add_parser("list", help="list keys")
    listing.add_argument("--user")
    revoke = keys.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="the key's id or prefix, from `keys list`")

    ingest = commands.add_parser("ingest", help="make files and folders of this machine a user's documents")
    ingest.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder with all below it")
    ingest.add_argument("--user", required=True, help="whose documents they become")
    ingest.add_argument("--collection", metavar="NAME", help="put them into this collection, which is made if need be")
    ingest.add_argument("--watch", action="store_true", help="go on with files that come or change, until Ctrl+C")
    ingest.add_argument(
        "--delete-removed", action="store_true", help="delete the documents of files that are no longer there"
    )

    commands.add_parser("doctor", help="look at sandbox, model, embedder, disk and keys, and say how to mend each")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused with one line on stderr, 2 wrong usage."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.command in (None, "serve"):
            from backend.cli.serve import serve

            return serve(getattr(arguments, "host", None), getattr(arguments, "port", None))
        if arguments.command == "doctor":
            from backend.cli import doctor

            return asyncio.run(doctor.run())
        if arguments.command == "ingest":
            from backend.cli import ingest

            return asyncio.run(ingest.run(arguments))
        from backend.cli import accounts

        return asyncio.run(accounts.run(arguments))
    except SettingsError as error:
        print(f"Hearth cannot start: {error.message}", file=sys.stderr)
        return 1
    except HearthError as error:
        print(error.message, file=sys.stderr)
        return 1
