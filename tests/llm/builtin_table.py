"""The table of questions for the built-in model: reading its rows, asking them of a whole server, judging answers."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from backend.bootstrap import Services, build
from backend.config.settings import Settings
from backend.llm.builtin import MODEL
from backend.llm.builtin_phrases import PHRASES
from backend.models.messages import Event, Finished, Message, RouteChosen, Sources, TextDelta
from backend.models.run import Owner, RunContext
from backend.tasks.answering import Question

HERE = Path(__file__).parent
CORPUS = HERE / "builtin_corpus"
FIRST = (
    "employee_handbook.md", "rental_contract.txt", "price_list.csv", "sales_2024.csv", "offices.json",
    "meeting_notes.md", "coffee_machine_manual.txt", "hausordnung.txt", "bibliotheque.txt",
)  # fmt: skip
LATER = ("gym_terms.md", "inventario.csv", "regolamento_piscina.txt")
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there: a tool that would ask the outside world finds nobody."""
LAST = ("router_faq.md", "dienstreise.txt", "staff.csv", "devoluciones.txt")
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "all": FIRST,
    "heldout": (*FIRST, *LATER),
    "later": (*FIRST, *LAST),
    "none": (),
}
"""Which files the asking user has, by the name that rows use."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question. `messages` are the user's turns in order; what was answered in between is really asked.

    `expect` and `forbid` hold texts that must or must not stand in the last answer: `~12.5` is a number to the
    given digits, `re:…` a regular expression, everything else a text or number as such. What is expected must stand
    before the first table of the answer, unless `whole`. `says_unknown` is True where the answer must say that it
    does not know, and "allowed" where it may.
    """

    id: str
    kind: str
    lang: str
    messages: tuple[str, ...]
    documents: str
    agent: str
    expect: tuple[str, ...]
    forbid: tuple[str, ...]
    cites: tuple[str, ...]
    says_unknown: bool | str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    text: str
    cited: tuple[str, ...]
    way: str
    finish: str
    cpu: float = field(default=0.0, compare=False)


def read_rows(name: str) -> list[Row]:
    rows = []
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        raw = orjson.loads(line)
        raw["documents"] = raw["documents"] or "none"
        rows.append(Row(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}))
    return rows


# ---- asking -------------------------------------------------------------------------------------


class World:
    """Everything a server consists of but its sockets, in a folder of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @classmethod
    async def open(cls, folder: Path) -> World:
        """Ends when every document of every user is ready."""
        settings = Settings(
            data_dir=folder,
            llm_provider="builtin",
            weather_url=NOWHERE,
            geocoding_url=NOWHERE,
            wikipedia_url=NOWHERE,
            _env_file=None,
        )
        world = cls(build(settings))
        ingest = world.services.ingest
        for name, files in DOCUMENTS.items():
            documents = [await ingest.upload(_owner(name), each, _parts(CORPUS / each)) for each in files]
            for document in documents:
                async for state in ingest.events(_owner(name), document.file_id):
                    assert state.status != "failed", state.error
        return world

    async def aclose(self) -> None:
        await self.services.aclose()

    async def ask(self, row: Row) -> Outcome:
        """The answer to the last turn, every earlier one having been answered before it."""
        messages: list[Message] = []
        outcome = Outcome("", (), "", "")
        for turn in row.messages:
            messages.append(Message("user", turn))
            clock = time.process_time()
            events = await self._events(row, messages)
            text = "".join(event.text for event in events if isinstance(event, TextDelta))
            cited = next((event.citations for event in events if isinstance(event, Sources)), ())
            way = next((event.route.agent for event in events if isinstance(event, RouteChosen)), "")
            last = events[-1]
            assert isinstance(last, Finished), last
            names = tuple(dict.fromkeys(each.source.filename or "" for each in cited))
            outcome = Outcome(text, names, way, last.reason, time.process_time() - clock)
            messages.append(Message("assistant", text))
        return outcome

    async def _events(self, row: Row, messages: Sequence[Message]) -> list[Event]:
        agent = None if row.agent == "auto" else row.agent
        question = Question(MODEL, tuple(messages), agent=agent, store=False)
        answer = await self.services.answering.prepare(_owner(row.documents), question, uuid.uuid4().hex)
        assert isinstance(answer.context, RunContext)
        return [event async for event in answer.events]


def _owner(documents: str) -> Owner:
    return Owner("default", f"user-{documents}")


async def _parts(path: Path) -> AsyncIterator[bytes]:
    yield path.read_bytes()


# ---- judging ------------------------------------------------------------------------------------

_UNKNOWN = ("not_found", "nothing_found", "unserved", "nearest", "failed", "blocked", "not_in_data", "no_statistic")
_INTRODUCTION = ("about",)


def _says(keys: Sequence[str]) -> re.Pattern[str]:
    """The sentences of the built-in model's own under these keys, in every language, whatever stands in their gaps."""
    sentences = [PHRASES[language][key] for language in PHRASES for key in keys]
    forms = [
        ".{0,400}?".join(re.escape(part) for part in re.split(r"\{\w+\}", each.split(". ")[0])) for each in sentences
    ]
    return re.compile("|".join(forms), re.DOTALL)


SAYS_UNKNOWN = _says(_UNKNOWN)
SAYS_WHAT_IT_IS = _says(_INTRODUCTION)
NEAREST = _says(("nearest",))


def faults(row: Row, outcome: Outcome) -> list[str]:
    """What is wrong with an answer, a sentence each; empty when it is right."""
    text = outcome.text
    unknown = bool(SAYS_UNKNOWN.search(text))
    if row.says_unknown == "allowed" and unknown:
        return []
    found: list[str] = []
    if row.says_unknown is True and not unknown and not SAYS_WHAT_IT_IS.search(text):
        found.append("does not say that it does not know")
    if row.says_unknown is False and unknown:
        found.append("says that it does not know")
    shown = text if row.whole else _before_table(text)
    found += [f"lacks {each!r}" for each in row.expect if not _stands_in(each, shown)]
    asserted = NEAREST.split(text)[0] if row.says_unknown is True else text
    found += [f"has {each!r}" for each in row.forbid if _stands_in(each, asserted)]
    found += [f"does not cite {each}" for each in row.cites if each not in outcome.cited]
    if outcome.finish != "stop":
        found.append(f"ends with {outcome.finish}")
    return found


def _before_table(text: str) -> str:
    """The text without Markdown tables: a figure somewhere among all others is no answer."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("|"))


def _plain(text: str) -> str:
    """Lower case, one kind of space, no separators of thousands, no citation markers."""
    text = re.sub(r"\[\d+\]", " ", text.casefold())
    text = re.sub(r"[\u00a0\u202f\s]+", " ", text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def _stands_in(wanted: str, text: str) -> bool:
    if wanted.startswith("re:"):
        return re.search(wanted[3:], _plain(text), re.IGNORECASE) is not None
    if wanted.startswith("~"):
        digits = len(wanted.partition(".")[2])
        numbers = (float(each.replace("−", "-")) for each in _NUMBER.findall(_plain(text)))
        return any(abs(number - float(wanted[1:])) <= 0.5001 * 10**-digits for number in numbers)
    bare = re.escape(_plain(wanted))
    left = r"(?<![\w.,-])" if wanted[0].isdigit() else r"(?<![\w])"
    right = r"(?!\w|[.,]\d)" if wanted[-1].isdigit() else r""
    return re.search(left + bare + right, _plain(text)) is not None
