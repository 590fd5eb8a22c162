"""Who runs, who waits, who is sent away: bounded, fair, and told the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message

from backend.api.admission import MAX_KEPT_BYTES, Admission, Inbox, Standing, Ticket
from backend.api.deps import admitted
from backend.models.errors import HearthError, Overloaded, TooManyRequests
from backend.models.run import Owner
from tests.api.house import House, open_house

ALICE, BOB, CAROL = Owner("default", "alice"), Owner("default", "bob"), Owner("default", "carol")


def quiet() -> Inbox:
    """A client that sends nothing more and stays."""

    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    return Inbox(receive)


def sending(*messages: Message) -> Inbox:
    """A client that sends these and stays."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.get_running_loop().create_future()
        return left.pop(0)

    return Inbox(receive)


class Line:
    """Requests that want in, and the order in which they came in."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.tickets: list[tuple[Owner, Ticket]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, owner: Owner, inbox: Inbox | None = None) -> asyncio.Task[None]:
        async def enter() -> None:
            self.tickets.append((owner, await self.admission.enter(owner, inbox or quiet())))

        task = asyncio.ensure_future(enter())
        self.tasks.append(task)
        await settle()
        return task

    @property
    def order(self) -> list[str]:
        return [owner.user for owner, _ in self.tickets]

    async def end_one(self, number: int = 0) -> None:
        self.tickets[number][1].release()
        await settle()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@pytest.fixture
async def line_of() -> AsyncIterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(*args: Any, **kwargs: Any) -> Line:
        made.append(Line(Admission(*args, **kwargs)))
        return made[-1]

    yield make
    for line in made:
        await line.close()


async def refused(admission: Admission, owner: Owner) -> HearthError:
    with pytest.raises(HearthError) as caught:
        await admission.enter(owner, quiet())
    return caught.value


async def test_flow_1_so_many_run_the_next_wait_and_a_place_is_handed_on(line_of: Callable[..., Line]) -> None:
    line = line_of(2, 10, share=2)
    for _ in range(4):
        await line.ask(ALICE)
    assert (line.admission.running, line.admission.waiting) == (2, 2)
    await line.end_one()
    assert (len(line.tickets), line.admission.running, line.admission.waiting) == (3, 2, 1)


async def test_flow_1_a_ticket_given_back_twice_frees_one_place(line_of: Callable[..., Line]) -> None:
    line = line_of(2, 10, share=2)
    await line.ask(ALICE)
    await line.ask(ALICE)
    await line.end_one()
    await line.end_one()
    assert line.admission.running == 1


async def test_flow_1_one_user_never_takes_the_places_kept_for_others(line_of: Callable[..., Line]) -> None:
    line = line_of(4, 10)
    for _ in range(4):
        await line.ask(ALICE)
    assert line.order == ["alice"] * 3, "three quarters of four"
    await line.ask(BOB)
    assert line.order[-1] == "bob", "who has room is not held up by who has none"


async def test_flow_1_users_in_line_take_turns(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 100, share=1)
    await line.ask(CAROL)
    for owner in (ALICE, ALICE, ALICE, ALICE, BOB, BOB):
        await line.ask(owner)
    for number in range(6):
        await line.end_one(number)
    assert line.order == ["carol", "alice", "bob", "alice", "bob", "alice", "alice"]


async def test_flow_1_one_user_takes_at_most_half_of_the_line_and_is_told_429(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 4)
    for _ in range(3):
        await line.ask(ALICE)
    error = await refused(line.admission, ALICE)
    assert isinstance(error, TooManyRequests)
    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.headers["retry-after"].isdigit() and int(error.headers["retry-after"]) >= 1
    await line.ask(BOB)
    assert line.admission.waiting == 3, "the other half is for others"


async def test_flow_1_full_line_is_503_for_everybody(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 2)
    for owner in (CAROL, ALICE, BOB):
        await line.ask(owner)
    error = await refused(line.admission, Owner("default", "dora"))
    assert isinstance(error, Overloaded)
    assert (error.status, error.type, error.code) == (503, "service_unavailable", "overloaded")
    assert int(error.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("busy", "kind"), [(ALICE, TooManyRequests), (BOB, Overloaded)], ids=["own", "others"])
async def test_flow_1_waiting_ends_after_the_limit(
    line_of: Callable[..., Line], busy: Owner, kind: type[HearthError]
) -> None:
    line = line_of(1, 10, patience_s=0.02)
    await line.ask(busy)
    assert isinstance(await refused(line.admission, ALICE), kind)
    assert line.admission.waiting == 0


async def test_flow_1_without_a_line_nobody_waits(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 0)
    await line.ask(BOB)
    assert isinstance(await refused(line.admission, ALICE), Overloaded)


async def test_flow_1_client_that_leaves_is_out_of_line(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 10)
    await line.ask(BOB)
    task = await line.ask(ALICE, sending({"type": "http.disconnect"}))
    assert isinstance(task.exception(), ClientDisconnect)
    assert line.admission.waiting == 0


async def test_flow_1_cancelled_request_is_out_of_line_also_when_its_turn_had_come(
    line_of: Callable[..., Line],
) -> None:
    line = line_of(1, 10)
    await line.ask(BOB)
    task = await line.ask(ALICE)
    line.tickets[0][1].release()
    task.cancel()
    await settle()
    assert (line.admission.running, line.admission.waiting) == (0, 0)


async def test_flow_1_no_interleaving_loses_a_place() -> None:
    """Requests that end, are cancelled or time out at every moment: at the end all places are free."""
    admission = Admission(3, 8, share=2, patience_s=0.003)
    owners = [ALICE, BOB, CAROL]
    outcomes = {"ran": 0, "refused": 0}

    async def request(number: int) -> None:
        for _ in range(number % 5):
            await asyncio.sleep(0)
        try:
            ticket = await admission.enter(owners[number % 3], quiet())
        except HearthError:
            outcomes["refused"] += 1
            return
        try:
            assert admission.running <= 3
            await asyncio.sleep(0.001 * (number % 4))
            outcomes["ran"] += 1
        finally:
            ticket.release()

    tasks = []
    for number in range(300):
        tasks.append(asyncio.ensure_future(request(number)))
        if number % 7 == 0:
            tasks[number // 2].cancel()
        if number % 11 == 0:
            await asyncio.sleep(0.001)
    await asyncio.wait(tasks)
    assert (admission.running, admission.waiting) == (0, 0)
    assert not admission._held and not admission._lines
    assert outcomes["ran"] > 50 and outcomes["refused"] > 10


async def test_flow_1_body_that_comes_while_waiting_is_kept_and_bounded(line_of: Callable[..., Line]) -> None:
    line = line_of(1, 10)
    await line.ask(BOB)
    pieces = [{"type": "http.request", "body": b"x" * 40_000, "more_body": True} for _ in range(5)]
    inbox = sending(*pieces)
    await line.ask(ALICE, inbox)
    assert inbox._kept is not None and sum(len(m["body"]) for m in inbox._kept) < MAX_KEPT_BYTES + 40_000
    await line.end_one()
    assert line.order == ["bob", "alice"]
    assert [await inbox() for _ in range(5)] == pieces, "nothing is lost, nothing comes twice"


def test_standing_tells_what_may_still_start() -> None:
    admission = Admission(8, 10, share=4)
    assert admission.standing(ALICE) == Standing(4, 4, 0)
    admission._admit(ALICE)
    assert admission.standing(ALICE) == Standing(4, 3, 1)
    for _ in range(4):
        admission._admit(BOB)
    assert admission.standing(BOB).remaining == 0
    admission._admit(CAROL)
    admission._admit(CAROL)
    assert admission.standing(ALICE).remaining == 1, "no more than the server has left"


# ---- on the routes -----------------------------------------------------------------------------------------

DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "hearth-builtin", "messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"model": "hearth-builtin", "prompt": "hi"},
    "/v1/responses": {"model": "hearth-builtin", "input": "hi"},
    "/v1/responses/compact": {"model": "hearth-builtin", "input": "hi"},
    "/v1/messages": {"model": "hearth-builtin", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/embeddings": {"model": "all-MiniLM-L6-v2", "input": "hi"},
    "/api/tools/math_calc/run": {"arguments": {"expression": "1+1"}},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
}


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[House]:
    """A house of one place, which somebody else holds, and no line."""
    async with open_house(tmp_path, max_concurrent_requests=1, max_queued_requests=0) as house:
        house.admission._admit(BOB)
        yield house


async def test_flow_1_every_long_door_asks_for_a_place(full: House) -> None:
    for path, body in DOORS.items():
        answer = await full.client.post(path, json=body)
        assert answer.status_code == 503, path
        if path != "/v1/messages":
            assert answer.json()["error"]["code"] == "overloaded"
        assert answer.headers["retry-after"].isdigit()
        assert answer.headers["retry-after-ms"] == answer.headers["retry-after"] + "000"
        assert answer.headers["x-should-retry"] == "true"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert full.admission.running == 1


def test_flow_1_the_list_of_long_doors_is_complete(tmp_path: Path) -> None:
    from backend.api.app import create_app
    from backend.config.settings import load_settings

    app = create_app(load_settings(data_dir=tmp_path, _env_file=None))
    asking = {
        route.path.replace("{name}", "math_calc")
        for route in all_routes(app.router)
        if any(dependency.call is admitted for dependency in route.dependant.dependencies)
    }
    assert asking == set(DOORS)


def all_routes(router: Any) -> list[APIRoute]:
    found = []
    for route in router.routes:
        if isinstance(route, APIRoute):
            found.append(route)
        elif hasattr(route, "original_router"):
            found += all_routes(route.original_router)
    return found


async def test_flow_1_short_doors_and_strangers_take_no_place(full: House) -> None:
    assert (await full.client.get("/v1/models")).status_code == 200
    assert (await full.client.get("/health")).status_code == 200
    answer = await full.stranger.post("/v1/chat/completions", json=DOORS["/v1/chat/completions"])
    assert answer.status_code == 401, "who nobody knows is not even told that the server is busy"
    assert "x-ratelimit-limit-requests" not in answer.headers


async def test_flow_1_places_are_free_again_after_answers_streams_and_errors(tmp_path: Path) -> None:
    async with open_house(tmp_path, max_concurrent_requests=4, max_run_tokens=1000) as house:
        chat = DOORS["/v1/chat/completions"]
        for body in (chat, {**chat, "stream": True}, {**chat, "model": "nope"}, {**chat, "messages": 5}):
            answer = await house.client.post("/v1/chat/completions", json=body)
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            assert answer.headers["x-ratelimit-remaining-requests"] == "2"
            assert answer.headers["x-ratelimit-reset-requests"] == "1s"
            assert answer.headers["x-ratelimit-remaining-tokens"] == "2000"
            assert house.admission.running == 0
        idle = await house.client.get("/v1/models")
        assert idle.headers["x-ratelimit-remaining-requests"] == "3"
        assert idle.headers["x-ratelimit-reset-requests"] == "0s"


async def test_flow_1_request_in_line_is_answered_when_its_turn_comes(tmp_path: Path) -> None:
    async with open_house(tmp_path, max_concurrent_requests=1) as house:
        held = house.admission._admit(BOB)
        waiting = asyncio.ensure_future(house.client.post("/v1/embeddings", json=DOORS["/v1/embeddings"]))
        while not house.admission.waiting:
            await asyncio.sleep(0)
        held.release()
        assert (await waiting).status_code == 200
