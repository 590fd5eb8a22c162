"""Open-Meteo's place directory and forecast, made from its documented answers."""

from __future__ import annotations

from typing import Any

from tests.doubles.services.http_double import Asked, Reply

PLACES: list[dict[str, Any]] = [
    {"id": 1, "name": "Berlin", "latitude": 52.52437, "longitude": 13.41053, "country_code": "DE", "country": "Germany",
     "admin1": "State of Berlin", "population": 3426354, "timezone": "Europe/Berlin"},
    {"id": 2, "name": "Berlin", "latitude": 44.46867, "longitude": -71.18508, "country_code": "US",
     "country": "United States", "admin1": "New Hampshire", "population": 9367},
    {"id": 3, "name": "Springfield", "latitude": 37.21533, "longitude": -93.29824, "country_code": "US",
     "country": "United States", "admin1": "Missouri", "population": 166810},
    {"id": 4, "name": "Springfield", "latitude": 39.80172, "longitude": -89.64371, "country_code": "US",
     "country": "United States", "admin1": "Illinois", "population": 116565},
    {"id": 5, "name": "Oslo", "latitude": 59.91273, "longitude": 10.74609, "country_code": "NO", "country": "Norway",
     "admin1": "Oslo County", "population": 580000},
    {"id": 6, "name": "São Paulo", "latitude": -23.5475, "longitude": -46.63611, "country_code": "BR",
     "country": "Brazil", "admin1": "São Paulo", "population": 10021295},
]  # fmt: skip


def answer(asked: Asked) -> Reply:
    if asked.path == "/v1/search":
        return _places(asked)
    if asked.path == "/v1/forecast":
        return _forecast(asked)
    return Reply({"error": True, "reason": "Not Found"}, 404)


def _places(asked: Asked) -> Reply:
    name = asked.query.get("name", "").lower()
    if len(name) < 2:
        return Reply({"generationtime_ms": 0.1})
    found = [place for place in PLACES if place["name"].lower().startswith(name)]
    count = int(asked.query.get("count", "10"))
    # A name nobody bears leaves the key out altogether.
    return Reply({**({"results": found[:count]} if found else {}), "generationtime_ms": 0.6})


def _forecast(asked: Asked) -> Reply:
    query = asked.query
    if not -90 <= float(query["latitude"]) <= 90:
        return Reply({"error": True, "reason": "Latitude must be in range of -90 to 90°."}, 400)
    days = int(query.get("forecast_days", "7"))
    warm = 68.0 if query.get("temperature_unit") == "fahrenheit" else 20.0
    dates = [f"2026-11-{21 + day:02d}" for day in range(days)]
    hours = [f"{date}T{hour:02d}:00" for date in dates for hour in range(24)]
    body: dict[str, Any] = {
        "latitude": float(query["latitude"]),
        "longitude": float(query["longitude"]),
        "timezone": "Europe/Berlin",
        "current": {
            "time": "2026-11-21T15:00", "interval": 900, "temperature_2m": warm, "relative_humidity_2m": 61,
            "apparent_temperature": warm - 1, "precipitation": 0.0, "weather_code": 2, "cloud_cover": 40,
            "wind_speed_10m": 11.2, "wind_direction_10m": 270, "wind_gusts_10m": 24.1, "is_day": 1,
        },
        "hourly": {
            "time": hours, "temperature_2m": [warm] * len(hours), "precipitation_probability": [10] * len(hours),
            "precipitation": [0.0] * len(hours), "weather_code": [1] * len(hours), "wind_speed_10m": [9.0] * len(hours),
        },
        "daily": {
            "time": dates, "weather_code": [61] * days, "temperature_2m_max": [warm + day for day in range(days)],
            "temperature_2m_min": [warm - 8] * days, "precipitation_sum": [2.5] * days,
            "precipitation_probability_max": [80] * days, "wind_speed_10m_max": [21.0] * days,
            "sunrise": [f"{date}T07:38" for date in dates], "sunset": [f"{date}T16:03" for date in dates],
        },
    }  # fmt: skip
    return Reply(body)
