"""Choosing a host, letting an ill one rest, and slots that always come back."""

import asyncio

import pytest

from backend.llm.ollama_hosts import CircuitBreaker, Host, choose_host
from backend.models.errors import UpstreamBusy, UpstreamUnreachable


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def fail(breaker, times=1):
    for _ in range(times):
        breaker.enter()
        breaker.leave(False)


def test_ups_2_breaker_opens_after_five_failures_and_closes_after_a_good_probe():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 4)
    assert breaker.wait_s() == 0
    fail(breaker)
    assert breaker.wait_s() == 15
    clock.now += 15
    assert breaker.wait_s() == 0
    breaker.enter()
    assert breaker.wait_s() > 0, "only one probe at a time"
    breaker.leave(True)
    assert breaker.wait_s() == 0
    fail(breaker, 4)
    assert breaker.wait_s() == 0


def test_ups_2_failed_probe_opens_the_breaker_again():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 5)
    clock.now += 16
    fail(breaker)
    assert breaker.wait_s() == 15


def test_ups_2_cancelled_probe_lets_the_next_one_through():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    fail(breaker, 5)
    clock.now += 16
    breaker.enter()
    breaker.leave(None)
    assert breaker.wait_s() == 0


def test_ups_2_failures_spread_over_more_than_thirty_seconds_do_not_open_it():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for _ in range(10):
        fail(breaker)
        clock.now += 8
    assert breaker.wait_s() == 0


def test_success_between_failures_starts_the_count_anew():
    breaker = CircuitBreaker(Clock())
    fail(breaker, 4)
    breaker.leave(True)
    fail(breaker, 4)
    assert breaker.wait_s() == 0


def hosts(*busy, clock=None):
    made = [Host(f"http://h{n}", 10, clock or Clock()) for n in range(len(busy))]
    for host, count in zip(made, busy, strict=True):
        host.busy = count
    return made


@pytest.mark.parametrize(
    ("busy", "having", "tried", "chosen"),
    [
        ((1, 0), (), (), "http://h1"),
        ((0, 0), (), (), "http://h0"),
        ((0, 5), ("http://h1",), (), "http://h1"),
        ((0, 5), (), ("http://h0",), "http://h1"),
        ((3, 5), (), ("http://h0", "http://h1"), "http://h0"),
    ],
    ids=["least busy", "first of equals", "one that has the model", "one not tried", "any when all were tried"],
)
def test_host_is_chosen(busy, having, tried, chosen):
    assert choose_host(hosts(*busy), having, tried).url == chosen


def test_ups_2_resting_hosts_are_passed_over_and_all_resting_is_an_immediate_503():
    both = hosts(0, 9)
    fail(both[0].breaker, 5)
    assert choose_host(both, (), ()).url == "http://h1"
    fail(both[1].breaker, 5)
    with pytest.raises(UpstreamUnreachable) as caught:
        choose_host(both, (), ())
    assert caught.value.headers["retry-after"] == "15"
    assert caught.value.status == 503


async def test_slot_is_waited_for_in_order_and_returned_once():
    host = Host("http://h", 1)
    first = await host.acquire(1)
    waiting = asyncio.create_task(host.acquire(1))
    await asyncio.sleep(0)
    assert host.busy == 2
    first.release()
    first.release()
    second = await waiting
    assert host.busy == 1
    second.release()
    assert host.busy == 0


async def test_nobody_waits_for_a_slot_without_end():
    host = Host("http://h", 1)
    slot = await host.acquire(1)
    with pytest.raises(UpstreamBusy) as caught:
        await host.acquire(0.01)
    assert caught.value.headers["retry-after"]
    assert host.busy == 1
    slot.release()


async def test_cancelled_wait_leaves_nothing_behind():
    host = Host("http://h", 1)
    slot = await host.acquire(1)
    waiting = asyncio.create_task(host.acquire(10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    slot.release()
    assert host.busy == 0
    (await host.acquire(0.1)).release()
