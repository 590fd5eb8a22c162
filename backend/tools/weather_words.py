"""Weather codes in words, wind directions, and how people ask for the weather in six languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.utils.patterns import LazyPattern

CODES = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "freezing fog",
    51: "light drizzle",
    53: "drizzle",
    55: "heavy drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light showers",
    81: "showers",
    82: "violent showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with hail",
}
"""WMO code 4677 as Open-Meteo uses it."""
_POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
FAHRENHEIT = frozenset({"US", "BS", "BZ", "KY", "PW", "LR", "FM", "MH"})
"""Countries (ISO 3166) where forecasts are in Fahrenheit."""
MAX_DAYS = 16
MAX_ASKED_CHARS = 500

_ASKED = LazyPattern(
    r"\b(?:weather|forecast|temperatures?|how (?:hot|cold|warm) (?:is|will)|(?:is|will) it (?:be |going to )?"
    r"(?:rain|snow|sunny|windy|storm)\w*|umbrella|raining|snowing)\b",
    r"\b(?:wetter\w*|temperaturen?|vorhersage|regnet|schneit|regnen|wie (?:warm|kalt|heiß)|regenschirm)\b",
    r"\b(?:météo|quel temps|temps fait|température|pleut|pleuvoir|neige|prévisions météo\w*)\b",
    r"\b(?:qué tiempo|el tiempo|clima|temperatura|llueve|llover|nieva|pronóstico)\b",
    r"\b(?:che tempo|meteo|previsioni|piove|pioverà|nevica|temperatura)\b",
    r"\b(?:previsão do tempo|tempo faz|como está o tempo|temperatura|chove|chover|clima)\b",
)
_NOT_MEANT = LazyPattern(
    r"\b(?:global warming|climate change|body temperature|fever|oven|boil\w*|melting|cpu|gpu|sampling|of the sun|"
    r"sales forecast|forecast (?:revenue|sales|budget)|under the weather|revenue|klimawandel|fieber|weather (?:app|api|"
    r"service|data|station)|poem|story|essay|haiku|gedicht|convert|celsius (?:to|in) fahrenheit|"
    r"fahrenheit (?:to|in) celsius|write (?:a|an|some)|code|function|script)\b"
)
_PLACE = LazyPattern(
    r"\b(?:in|at|for|near|around|für|bei|nach|à|au|aux|pour|en|para|a|ad|per|em|no|na)\s+"
    r"(?P<place>(?:the\s+)?[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’.-]*"
    r"(?:(?:,?\s+|-)(?:[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’.-]*|(?:de|la|am|an der|upon|sur|del|do|of|the)\b)){0,4})",
    flags=0,
)
_LOOSE_PLACE = LazyPattern(
    r"\b(?:in|at|for|für|à|en|para|a|em)\s+(?P<place>[\w'’-]{3,}(?:\s[\w'’-]{3,})?)\s*"
    r"(?:today|tomorrow|tonight|now|right now|this week|next week|heute|morgen|aujourd'hui|demain|hoy|mañana|oggi|"
    r"domani|hoje|amanhã|please|like)?\s*[?.!]*$"
)
_LEADING = LazyPattern(
    r"^\W*(?P<place>(?!Weather|The\b|Wetter|Temp)[A-ZÀ-ÖØ-Þ][\w'’-]+(?:[ -][A-ZÀ-ÖØ-Þ][\w'’-]+){0,3})\s+"
    r"(?:weather|forecast|wetter|météo|meteo|clima)\b",
    flags=0,
)
_WEEK = LazyPattern(r"\b(?:week|woche|semaine|semana|settimana|7.day)\b")
_TOMORROW = LazyPattern(r"\b(?:tomorrow|morgen|demain|mañana|domani|amanhã)\b")
_WEEKEND = LazyPattern(r"\b(?:weekend|wochenende|week-end|fin de semana|fim de semana|fine settimana)\b")
_N_DAYS = LazyPattern(r"\b(\d{1,2})[\s-]*(?:days?|tage?n?|jours?|días?|giorni|dias?)\b")
_HOURLY = LazyPattern(
    r"\b(?:hourly|hour by hour|by the hour|stündlich|heure par heure|por horas|ora per ora|hora a hora|this afternoon|"
    r"this evening|tonight|heute (?:abend|nachmittag)|ce soir|esta (?:tarde|noche|noite)|stasera)\b"
)
_TIME_WORDS = re.compile(
    r"\s+(?:today|tomorrow|tonight|now|this|next|right|on|over|heute|morgen|am|aujourd\S*|demain|ce|hoy|mañana|oggi|"
    r"domani|hoje|amanhã|monday|tuesday|wednesday|thursday|friday|saturday|sunday|montag|dienstag|mittwoch|"
    r"donnerstag|freitag|samstag|sonntag)\b.*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for: a place, how many days, hour by hour or not."""

    location: str
    days: int
    hourly: bool
    sure: bool


def described(code: object) -> str:
    """The weather of a WMO code in words."""
    return CODES.get(code, "unknown weather") if isinstance(code, int) else "unknown weather"


def compass(degrees: object) -> str:
    """Where the wind comes from, as one of eight points; empty when unknown."""
    return _POINTS[round(degrees / 45) % 8] if isinstance(degrees, (int, float)) else ""


def find_weather_questions(query: str) -> Sequence[Asked]:
    """The weather questions of a query, at most three, one for each place named; empty when it asks for none."""
    text = " ".join(query[:MAX_ASKED_CHARS].split())
    if not _ASKED.search(text) or _NOT_MEANT.search(text):
        return ()
    places = [found["place"] for pattern in (_LEADING, _PLACE) for found in pattern.finditer(text)]
    sure = bool(places)
    if not places:
        places = [found["place"] for found in _LOOSE_PLACE.finditer(text)]
    cleaned = [_TIME_WORDS.sub("", place).strip(" ,.?!") for place in places]
    days, hourly = _days(text), bool(_HOURLY.search(text))
    return [Asked(place, days, hourly, sure) for place in dict.fromkeys(cleaned) if place][:3]


def _days(text: str) -> int:
    found = _N_DAYS.search(text)
    if found:
        return min(max(int(found[1]), 1), MAX_DAYS)
    if _WEEK.search(text) or _WEEKEND.search(text):
        return 7
    return 2 if _TOMORROW.search(text) else 1
