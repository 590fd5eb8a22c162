"""A process that writes to a data folder and says on stdout, a line at a time, what was acknowledged.

    python -m tests.storage.writer MODE DATA_DIR NAME [SESSION_ID]

`restless` writes for ever, in four tasks, until somebody kills it; `append` adds 25 messages to one conversation;
`race` tries to be the first with a user name and some bytes; `limited` runs into a limit of the file size.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from itertools import count
from pathlib import Path

from backend.models.errors import Conflict, StorageFull
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, said, settings_for, stored, upload


def acknowledge(*words: object) -> None:
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


async def restless(stores: Stores, name: str, shared: str) -> None:
    async def write(task: int) -> None:
        for number in count():
            mark = f"{name}-{task}-{number}"
            await stores.conversations.append(ALICE, shared, [said("user", mark + " " + "x" * (number % 7) * 900)])
            acknowledge("shared", mark)
            info = await stores.conversations.create(ALICE, mark)
            acknowledge("created", info.session_id)
            await stores.conversations.append(ALICE, info.session_id, stored(mark, "answer " + mark))
            acknowledge("appended", info.session_id, mark)
            if number % 3 == 0:
                acknowledge("deleting", info.session_id)
                await stores.conversations.delete(ALICE, info.session_id)
                acknowledge("deleted", info.session_id)
            if number % 4 == 1:
                document = await upload(stores, ALICE, mark.encode())
                acknowledge("uploaded", document.file_id, mark)
                if number % 8 == 1:
                    acknowledge("removing", document.file_id)
                    await stores.documents.delete(ALICE, document.file_id)
                    acknowledge("removed", document.file_id)
            if number % 5 == 2:
                user = await stores.users.add_user(SERVER, mark, "hash", "user")
                acknowledge("user", user.id)
            if number % 5 == 3:
                await stores.runs.save(ALICE, {"run_id": f"run-{mark}", "created_at": float(number), "steps": []})
                acknowledge("run", f"run-{mark}")

    await asyncio.gather(*(write(task) for task in range(4)))


async def append(stores: Stores, name: str, shared: str) -> None:
    for number in range(25):
        await stores.conversations.append(ALICE, shared, [said("user", f"{name}-{number}")])


async def race(stores: Stores, name: str, shared: str) -> None:
    try:
        user = await stores.users.add_user(SERVER, "alice", "hash", "user")
        acknowledge("user", user.id)
    except Conflict:
        acknowledge("conflict", name)
    document = await upload(stores, ALICE, b"the same bytes" * 1000)
    acknowledge("document", document.file_id)


async def limited(stores: Stores, name: str, shared: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    acknowledged = 0
    try:
        while True:
            await stores.conversations.append(ALICE, shared, [said("user", "x" * 1500)])
            acknowledged += 1
    except StorageFull:
        acknowledge("full", acknowledged)
    acknowledge("read", len((await stores.conversations.get(ALICE, shared)).messages))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await stores.conversations.append(ALICE, shared, [said("user", "space again")])
    acknowledge("after", len((await stores.conversations.get(ALICE, shared)).messages))


async def main(mode: str, data_dir: str, name: str, shared: str = "") -> None:
    stores = json_files.create(settings_for(Path(data_dir)))
    acknowledge("ready", name)
    await {"restless": restless, "append": append, "race": race, "limited": limited}[mode](stores, name, shared)
    await stores.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
