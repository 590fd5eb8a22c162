"""`weather` against a double of Open-Meteo on a real socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from backend.core.toolbox import Toolbox, ToolOutcome
from backend.tools.service_client import ServiceClient
from backend.tools.weather_tool import Arguments, Weather
from backend.tools.weather_words import compass, described, find_weather_questions
from tests.doubles.services import open_meteo
from tests.doubles.services.http_double import HttpDouble, Reply
from tests.fakes.tools import run_context


@pytest.fixture
async def service() -> AsyncIterator[HttpDouble]:
    async with HttpDouble(open_meteo.answer).running() as double:
        yield double


@pytest.fixture
async def tool(service: HttpDouble) -> AsyncIterator[Weather]:
    tool = Weather(
        ServiceClient("The weather service", service.url, timeout_s=1.5),
        ServiceClient("The place directory", service.url, timeout_s=1.5, contact="me@example.org"),
    )
    yield tool
    await tool.aclose()


async def asked(tool: Weather, **arguments: Any) -> ToolOutcome:
    context = run_context()
    return await Toolbox({"weather": tool}, context).call("weather", arguments)


async def test_now_and_today_with_the_place_spelled_out(tool: Weather, service: HttpDouble) -> None:
    outcome = await asked(tool, location="Oslo")
    assert outcome.error is None
    assert "Oslo, Oslo County, Norway, now (2026-11-21T15:00): partly cloudy, 20 °C" in outcome.result.text
    assert "2026-11-21: light rain, 12 to 20 °C" in outcome.result.text
    assert "2026-11-22" not in outcome.result.text
    assert outcome.result.data["current"]["wind_from"] == "W"
    assert outcome.result.sources[0].url.startswith("https://open-meteo.com/")
    assert service.requests[0].headers["user-agent"].endswith("(me@example.org)")


async def test_days_ahead_come_one_by_one(tool: Weather) -> None:
    data = (await asked(tool, location="Oslo", days=3)).result.data
    assert [row["date"] for row in data["daily"]] == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert data["daily"][2]["max"] == 22.0


async def test_the_next_hours_start_now(tool: Weather) -> None:
    hours = (await asked(tool, location="Oslo", hourly=True)).result.data["hourly"]
    assert (hours[0]["time"], len(hours)) == ("2026-11-21T15:00", 24)


@pytest.mark.parametrize(
    ("location", "units", "degrees"),
    [
        ("Berlin", "auto", "°C"),
        ("Springfield", "auto", "°F"),
        ("Springfield", "metric", "°C"),
        ("Oslo", "imperial", "°F"),
    ],
)
async def test_units_are_those_of_the_country_unless_asked_for(
    tool: Weather, location: str, units: str, degrees: str
) -> None:
    assert (await asked(tool, location=location, units=units)).result.data["units"]["temperature"] == degrees


async def test_of_several_places_the_largest_is_taken_and_the_others_offered(tool: Weather) -> None:
    data = (await asked(tool, location="Berlin")).result.data
    assert data["place"]["name"] == "Berlin, State of Berlin, Germany"
    assert data["other_places"] == ["Berlin, New Hampshire, United States"]


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("Springfield, Illinois", "Springfield, Illinois, United States"),
        ("Berlin, US", "Berlin, New Hampshire, United States"),
        ("Berlin, New Hampshire", "Berlin, New Hampshire, United States"),
        ("Springfield, Atlantis", "Springfield, Missouri, United States"),
        ("-23.55, -46.63", "-23.55, -46.63"),
    ],
)
async def test_a_region_or_coordinates_choose_the_place(tool: Weather, location: str, name: str) -> None:
    assert (await asked(tool, location=location)).result.data["place"]["name"] == name


async def test_an_unknown_place_is_said_so(tool: Weather) -> None:
    assert "No place named 'Xyzzyville'" in ((await asked(tool, location="Xyzzyville")).error or "")


async def test_asking_again_is_answered_from_memory(tool: Weather, service: HttpDouble) -> None:
    await asked(tool, location="Oslo")
    before = len(service.requests)
    await asked(tool, location="Oslo")
    assert len(service.requests) == before


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        pytest.param([Reply(b"<html>", 502), Reply(b"", 502)], "answered with an error (502)", id="down"),
        pytest.param([Reply(b"", 429, {"retry-after": "60"})], "allows no more requests", id="throttled"),
        pytest.param([Reply(b"not json")], "cannot be read", id="garbage"),
        pytest.param([Reply({"x": 1}, delay_s=4)], "did not answer within", id="slow"),
        pytest.param([Reply({"x": "y" * 99}, cut=True)] * 2, "cannot be reached", id="cut"),
        pytest.param([Reply(b"[" + b" " * 5_000_000 + b"]")], "more than 4 MB", id="huge"),
        pytest.param([Reply([1, 2])], "No place named", id="another_shape"),
    ],
)
async def test_a_failing_service_becomes_a_sentence(
    tool: Weather, service: HttpDouble, faults: list[Reply], sentence: str
) -> None:
    service.faults = faults
    assert sentence in ((await asked(tool, location="Oslo")).error or "")


async def test_a_service_that_stumbles_once_is_asked_again(tool: Weather, service: HttpDouble) -> None:
    service.faults = [Reply(b"", 503, {"retry-after": "0"})]
    assert (await asked(tool, location="Oslo")).error is None


async def test_nothing_listening_is_a_sentence_too() -> None:
    tool = Weather(ServiceClient("A", "http://127.0.0.1:9"), ServiceClient("The directory", "http://127.0.0.1:9"))
    assert "The directory cannot be reached" in ((await asked(tool, location="Oslo")).error or "")
    await tool.aclose()


@pytest.mark.parametrize("bad", [{"location": ""}, {"location": "O" * 200}, {"location": "Oslo", "days": 17}])
def test_arguments_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Arguments(**bad)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What's the weather in Oslo?", [("Oslo", 1)]),
        ("will it rain in Oslo tomorrow", [("Oslo", 2)]),
        ("weather in oslo tomorrow", [("oslo", 2)]),
        ("Weather forecast for New York this week", [("New York", 7)]),
        ("Wie wird das Wetter morgen in Berlin?", [("Berlin", 2)]),
        ("Quel temps fait-il à Paris aujourd'hui ?", [("Paris", 1)]),
        ("¿Qué tiempo hace en Madrid?", [("Madrid", 1)]),
        ("Che tempo fa a Roma domani?", [("Roma", 2)]),
        ("Como está o tempo em São Paulo?", [("São Paulo", 1)]),
        ("London weather please", [("London", 1)]),
        ("weather in Springfield, Illinois for the next 3 days", [("Springfield, Illinois", 3)]),
        ("Compare the weather in Oslo and the temperature in Rome", [("Oslo", 1), ("Rome", 1)]),
        ("What is the weather?", []),
        ("Explain climate change in Africa", []),
        ("My temperature is 39 in Berlin, do I have a fever?", []),
        ("Write a poem about the weather in Oslo", []),
        ("The sales forecast for Germany", []),
        ("x" * 100_000, []),
    ],
)
def test_questions_about_the_weather_are_recognised(query: str, expected: list[tuple[str, int]]) -> None:
    assert [(each.location, each.days) for each in find_weather_questions(query)] == expected


def test_recognising_is_quick_on_hostile_text() -> None:
    clock = time.perf_counter()
    for text in ("weather in " + "A" * 100_000, "weather " + "in A " * 20_000, "weather" + " " * 100_000):
        find_weather_questions(text)
    assert time.perf_counter() - clock < 0.5


def test_codes_and_directions_in_words() -> None:
    assert (described(0), described(95), described(1234), described(None)) == (
        "clear sky",
        "thunderstorm",
        "unknown weather",
        "unknown weather",
    )
    assert [compass(d) for d in (0, 44, 180, 359, None)] == ["N", "NE", "S", "N", ""]
