"""`weather`: now, hour by hour and days ahead for any place, from Open-Meteo (no key)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from backend.models.errors import ServiceFailed
from backend.models.run import RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.port import BaseTool, ToolServices
from backend.tools.service_client import ServiceClient
from backend.tools.weather_words import FAHRENHEIT, MAX_DAYS, compass, described, find_weather_questions

KEEP_FORECAST_S = 600.0
KEEP_PLACE_S = 86_400.0
MAX_KEPT = 256
HOURS_SHOWN = 24
_COORDINATES = re.compile(r"\s*(-?\d{1,2}(?:\.\d+)?)\s*[,; ]\s*(-?\d{1,3}(?:\.\d+)?)\s*")
_CURRENT = (
    "temperature_2m,relative_humidity_2m,apparent_temperature,precipitation,weather_code,cloud_cover,"
    "wind_speed_10m,wind_direction_10m,wind_gusts_10m,is_day"
)
_HOURLY = "temperature_2m,precipitation_probability,precipitation,weather_code,wind_speed_10m"
_DAILY = (
    "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,precipitation_probability_max,"
    "wind_speed_10m_max,sunrise,sunset"
)


def create(services: ToolServices) -> Weather:
    settings = services.settings
    return Weather(
        ServiceClient("The weather service", settings.weather_url, contact=settings.service_contact),
        ServiceClient("The place directory", settings.geocoding_url, contact=settings.service_contact),
    )


class Arguments(BaseModel):
    location: str = Field(
        min_length=2,
        max_length=120,
        description="A place, with region or country where the name alone is ambiguous, e.g. `Springfield, Illinois`; "
        "or `latitude, longitude`.",
    )
    days: int = Field(default=1, ge=1, le=MAX_DAYS, description="Days ahead, today included; 2 holds tomorrow.")
    hourly: bool = Field(default=False, description="True for the next 24 hours one by one.")
    units: Literal["auto", "metric", "imperial"] = Field(
        default="auto", description="`auto`: what is usual in the place's country."
    )


class Weather(BaseTool):
    name = "weather"
    description = (
        "Tells the current weather and the forecast (up to 16 days, or hour by hour) for any place in the world. "
        "Use it for every question about present or coming weather; not for climate, history or physics."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 30.0
    untrusted = True
    outbound = True

    def __init__(self, forecasts: ServiceClient, places: ServiceClient) -> None:
        self._forecasts = forecasts
        self._places = places
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
        """Answers of the services by question; public facts, nothing of any user."""

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data`: {place, units, current, hourly?, daily, other_places}. Raises ServiceFailed."""
        found = await self._find(arguments.location)
        if not found:
            return ToolResult("", error=f"No place named {arguments.location[:80]!r} is known: check the spelling.")
        place, others = found[0], found[1:]
        imperial = arguments.units == "imperial" or (
            arguments.units == "auto" and place.get("country_code") in FAHRENHEIT
        )
        answer = await self._forecast(place, arguments.days, imperial)
        data = _data(place, others, answer, arguments, imperial)
        return ToolResult(_sentences(data), data, (_source(place, data),))

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return [
            Proposal(
                {"location": asked.location, "days": asked.days, "hourly": asked.hourly},
                0.95 if asked.sure else 0.7,
                "a question about the weather of a place",
            )
            for asked in find_weather_questions(query)
        ]

    async def aclose(self) -> None:
        await self._forecasts.aclose()
        await self._places.aclose()

    # ---- services -------------------------------------------------------------------------------

    async def _find(self, location: str) -> list[dict[str, Any]]:
        """Places of this name, the likeliest first; coordinates are a place of their own."""
        exact = _COORDINATES.fullmatch(location)
        if exact:
            latitude, longitude = float(exact[1]), float(exact[2])
            if abs(latitude) <= 90 and abs(longitude) <= 180:
                return [{"name": f"{latitude:g}, {longitude:g}", "latitude": latitude, "longitude": longitude}]
        name, *qualifiers = (part.strip() for part in location.split(","))
        question = {"name": name, "count": 10, "language": "en", "format": "json"}
        answer = await self._ask(self._places, "/v1/search", question, KEEP_PLACE_S)
        results = answer.get("results") if isinstance(answer, dict) else None
        found = [each for each in results or () if _is_place(each)]
        wanted = [each for each in found if _fits(each, qualifiers)]
        return _by_likelihood(wanted or found, name)

    async def _forecast(self, place: Mapping[str, Any], days: int, imperial: bool) -> dict[str, Any]:
        question: dict[str, Any] = {
            "latitude": round(place["latitude"], 4),
            "longitude": round(place["longitude"], 4),
            "current": _CURRENT,
            "hourly": _HOURLY,
            "daily": _DAILY,
            "timezone": "auto",
            # The hours to come may reach into tomorrow.
            "forecast_days": max(days, 2),
        }
        if imperial:
            question |= {"temperature_unit": "fahrenheit", "wind_speed_unit": "mph", "precipitation_unit": "inch"}
        answer = await self._ask(self._forecasts, "/v1/forecast", question, KEEP_FORECAST_S)
        if not isinstance(answer, dict) or not isinstance(answer.get("current"), dict):
            raise ServiceFailed("The weather service sent no weather for this place: try again later.")
        return answer

    async def _ask(self, client: ServiceClient, path: str, question: Mapping[str, Any], keep_s: float) -> Any:
        key = (path, *sorted(question.items()))
        at, answer = self._kept.get(key, (float("-inf"), None))
        if time.monotonic() - at < keep_s:
            return answer
        answer = await client.get(path, question)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (time.monotonic(), answer)
        return answer


# ---- places -------------------------------------------------------------------------------------


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and all(isinstance(value.get(key), (int, float)) for key in ("latitude", "longitude"))
    )


def _fits(place: Mapping[str, Any], qualifiers: Sequence[str]) -> bool:
    known = [str(place.get(key, "")).lower() for key in ("admin1", "admin2", "admin3", "country", "country_code")]
    return all(
        any(q.lower() in (k, _initials(k)) or (len(q) > 3 and q.lower() in k) for k in known) for q in qualifiers
    )


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split())


def _by_likelihood(places: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Places that bear the name itself before those that only begin like it; larger before smaller."""

    def rank(place: Mapping[str, Any]) -> tuple[bool, float]:
        people = place.get("population")
        return place["name"].lower() != name.lower(), -(people if isinstance(people, (int, float)) else 0)

    return sorted(places, key=rank)


def _label(place: Mapping[str, Any]) -> str:
    parts = [place.get("name"), place.get("admin1"), place.get("country")]
    return ", ".join(dict.fromkeys(str(part)[:60] for part in parts if part))


# ---- answers ------------------------------------------------------------------------------------


def _data(
    place: Mapping[str, Any],
    others: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    arguments: Arguments,
    imperial: bool,
) -> dict[str, Any]:
    current = answer["current"]
    data: dict[str, Any] = {
        "place": {
            "name": _label(place),
            "latitude": place["latitude"],
            "longitude": place["longitude"],
            "timezone": answer.get("timezone"),
        },
        "units": {
            "temperature": "°F" if imperial else "°C",
            "wind": "mph" if imperial else "km/h",
            "precipitation": "in" if imperial else "mm",
        },
        "current": {
            "time": current.get("time"),
            "weather": described(current.get("weather_code")),
            "temperature": current.get("temperature_2m"),
            "feels_like": current.get("apparent_temperature"),
            "humidity": current.get("relative_humidity_2m"),
            "precipitation": current.get("precipitation"),
            "cloud_cover": current.get("cloud_cover"),
            "wind": current.get("wind_speed_10m"),
            "gusts": current.get("wind_gusts_10m"),
            "wind_from": compass(current.get("wind_direction_10m")),
        },
        "daily": _rows(answer.get("daily"), _DAY_NAMES)[: arguments.days],
        "other_places": [_label(each) for each in others if each["name"] == place["name"]][:5],
    }
    if arguments.hourly:
        rows = _rows(answer.get("hourly"), _HOUR_NAMES)
        now = str(current.get("time") or "")[:13]
        data["hourly"] = [row for row in rows if str(row.get("time"))[:13] >= now][:HOURS_SHOWN]
    return data


_DAY_NAMES = {
    "time": "date",
    "weather_code": "weather",
    "temperature_2m_max": "max",
    "temperature_2m_min": "min",
    "precipitation_sum": "precipitation",
    "precipitation_probability_max": "precipitation_probability",
    "wind_speed_10m_max": "wind_max",
    "sunrise": "sunrise",
    "sunset": "sunset",
}
_HOUR_NAMES = {
    "time": "time",
    "weather_code": "weather",
    "temperature_2m": "temperature",
    "precipitation": "precipitation",
    "precipitation_probability": "precipitation_probability",
    "wind_speed_10m": "wind",
}


def _rows(columns: Any, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Open-Meteo's columns as rows; what is missing is None."""
    times = columns.get("time") if isinstance(columns, dict) else None
    if not isinstance(times, list):
        return []
    rows: list[dict[str, Any]] = []
    for index in range(len(times)):
        row: dict[str, Any] = {}
        for theirs, ours in names.items():
            column = columns.get(theirs)
            value = column[index] if isinstance(column, list) and index < len(column) else None
            row[ours] = described(value) if theirs == "weather_code" else value
        rows.append(row)
    return rows


def _sentences(data: Mapping[str, Any]) -> str:
    units, now = data["units"], data["current"]
    degrees, speed, amount = units["temperature"], units["wind"], units["precipitation"]
    wind = f"wind {_number(now['wind'])} {speed}" + (f" from {now['wind_from']}" if now["wind_from"] else "")
    lines = [
        f"{data['place']['name']}, now ({now['time']}): {now['weather']}, {_number(now['temperature'])} {degrees}, "
        f"feels like {_number(now['feels_like'])} {degrees}, humidity {_number(now['humidity'])} %, {wind}."
    ]
    lines += [
        f"{row['time']}: {row['weather']}, {_number(row['temperature'])} {degrees}, "
        f"rain {_number(row['precipitation_probability'])} %"
        for row in data.get("hourly", ())
    ]
    lines += [
        f"{row['date']}: {row['weather']}, {_number(row['min'])} to {_number(row['max'])} {degrees}, "
        f"precipitation {_number(row['precipitation'])} {amount} "
        f"(probability {_number(row['precipitation_probability'])} %), wind up to {_number(row['wind_max'])} {speed}."
        for row in data["daily"]
    ]
    if data["other_places"]:
        lines.append(f"Other places of this name: {'; '.join(data['other_places'])}.")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else "?"


def _source(place: Mapping[str, Any], data: Mapping[str, Any]) -> Source:
    url = f"https://open-meteo.com/en/docs?latitude={place['latitude']:g}&longitude={place['longitude']:g}"
    return Source("web", f"Open-Meteo: {data['place']['name']}", _sentences(data).splitlines()[0], url)
