"""Turns are given out owner by owner, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from backend.utils.fair_turns import FairTurns


class Crowd:
    """Those who want a turn; `order` is who had one."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.running = self.most = 0

    async def wants(self, owner: str, times: int = 1) -> None:
        for _ in range(times):
            self.tasks.append(asyncio.create_task(self._one(owner)))
        await asyncio.sleep(0)

    async def _one(self, owner: str) -> None:
        async with self.turns.turn(owner):
            self.order.append(owner)
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
            finally:
                self.running -= 1

    async def served(self) -> str:
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 5)
        return "".join(self.order)


async def test_one_with_much_to_do_lets_others_in_between() -> None:
    crowd = Crowd(FairTurns(1))
    await crowd.wants("a", 5)
    await crowd.wants("b", 2)
    await crowd.wants("c")
    assert await crowd.served() == "aabcabaa"
    assert crowd.most == 1


async def test_no_more_than_allowed_have_a_turn_at_once() -> None:
    crowd = Crowd(FairTurns(3))
    await crowd.wants("a", 10)
    await crowd.wants("b", 10)
    await crowd.served()
    assert crowd.most == 3


@pytest.mark.parametrize("cancelled", [[1], [1, 2, 3], [0], [0, 1], [0, 1, 2, 3, 4]])
async def test_turns_of_those_who_leave_go_to_the_next(cancelled: list[int]) -> None:
    turns = FairTurns(1)
    crowd = Crowd(turns)
    await crowd.wants("a", 5)
    for number in cancelled:
        crowd.tasks[number].cancel()
    await crowd.served()
    await crowd.wants("b", 3)
    assert (await crowd.served()).endswith("bbb")
    assert crowd.most == 1


async def test_one_who_leaves_just_as_the_turn_comes_hands_it_on() -> None:
    turns = FairTurns(1)
    crowd = Crowd(turns)
    await crowd.wants("a", 3)
    while "a" not in crowd.order or crowd.running:
        await asyncio.sleep(0)
    crowd.tasks[1].cancel()
    assert await crowd.served() in ("aa", "aaa")
    await crowd.wants("b")
    assert (await crowd.served()).endswith("b")


async def test_a_failing_turn_is_given_back() -> None:
    turns = FairTurns(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            async with turns.turn("a"):
                raise ValueError("no")
    async with asyncio.timeout(1), turns.turn("a"):
        pass
