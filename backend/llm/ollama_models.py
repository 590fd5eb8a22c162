"""What Ollama tells about a model, read softly: every field may be absent or null on some version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backend.llm.port import ModelInfo

PROVIDER = "ollama"
UNKNOWN_CONTEXT_LENGTH = 8192
"""Assumed where a server does not say."""
_EMBEDDING_FAMILIES = frozenset({"bert", "nomic-bert", "xlm-roberta", "jina-bert-v2"})
_GO_BLOCK = re.compile(r"\{\{[^}]*\}\}")


@dataclass(frozen=True, slots=True)
class Installed:
    """A line of the installed list. `created` in seconds since the epoch, `size` in bytes; 0 when unknown."""

    name: str
    family: str = ""
    created: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """A model as the request builder and the stream parser need it."""

    info: ModelInfo
    family: str = ""
    capabilities_known: bool = True
    """False on servers that do not list capabilities: then trying tells."""
    opens_thinking: bool = False
    """The prompt template itself ends with `<think>`, so the answer may begin inside it."""
    hosts: tuple[str, ...] = field(default=())
    """Base URLs of the hosts that have the model."""

    def can(self, capability: str) -> bool:
        return capability in self.info.capabilities

    def may(self, capability: str) -> bool:
        """Whether it is worth trying."""
        return capability in self.info.capabilities or not self.capabilities_known

    @property
    def thinks_in_levels(self) -> bool:
        return "gptoss" in self.family.replace("-", "") or "gpt-oss" in self.info.id.lower()


def full_name(model: str) -> str:
    """The name under which Ollama compares models: lower case, with a tag."""
    name = model.strip().lower()
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def details_from(installed: Installed, show: Mapping[str, Any], hosts: tuple[str, ...]) -> ModelDetails:
    """Details from the answer of /api/show (`capabilities`, `model_info`, `template`, `family`)."""
    listed = show.get("capabilities")
    known = isinstance(listed, (list, tuple)) and bool(listed)
    capabilities = frozenset(str(each) for each in listed or ()) if known else _guessed(installed)
    family = str(show.get("family") or installed.family).lower()
    info = ModelInfo(
        id=installed.name,
        provider=PROVIDER,
        capabilities=capabilities | {"structured"} if "completion" in capabilities else capabilities,
        context_length=_context_length(show.get("model_info")),
        created=installed.created,
        size=installed.size,
        owned_by=_namespace(installed.name),
        capabilities_known=known,
    )
    return ModelDetails(info, family, known, _opens_thinking(show.get("template")), hosts)


def seconds_of(moment: datetime | None) -> int:
    if moment is None:
        return 0
    try:
        return max(0, int(moment.timestamp()))
    except (OverflowError, ValueError, OSError):
        return 0


def _guessed(installed: Installed) -> frozenset[str]:
    embeds = installed.family.lower() in _EMBEDDING_FAMILIES or "embed" in installed.name.lower()
    return frozenset({"embedding"}) if embeds else frozenset({"completion"})


def _context_length(model_info: Any) -> int:
    if not isinstance(model_info, Mapping):
        return UNKNOWN_CONTEXT_LENGTH
    length = model_info.get(f"{model_info.get('general.architecture')}.context_length")
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        return UNKNOWN_CONTEXT_LENGTH
    return length


def _namespace(name: str) -> str:
    return name.rpartition("/")[0].rpartition("/")[2] or "library"


def _opens_thinking(template: Any) -> bool:
    return isinstance(template, str) and _GO_BLOCK.sub("", template).rstrip().endswith("<think>")
