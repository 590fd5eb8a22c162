"""Installed models: names, metadata, and where to find one."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field, fields
from typing import Any

from tests.doubles.ollama.profile import Profile
from tests.doubles.ollama.wire import local_time

_DEFAULT_HOST, _DEFAULT_NAMESPACE = "registry.ollama.ai", "library"
_NAME_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79}\Z")
_HOST_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-:]{0,349}\Z")


def full_name(name: str) -> str | None:
    """`host/namespace/model:tag` with the defaults filled in, or None when it cannot be a model name."""
    rest, tag = name, "latest"
    if ":" in name.rpartition("/")[2]:
        rest, _, tag = name.rpartition(":")
    parts = rest.split("/")
    if len(parts) > 3:
        return None
    parts = [_DEFAULT_HOST, _DEFAULT_NAMESPACE][: 3 - len(parts)] + parts
    host, namespace, model = parts
    if not _HOST_PART.match(host) or not all(_NAME_PART.match(part) for part in (namespace, model, tag)):
        return None
    return f"{host}/{namespace}/{model}:{tag}"


def short_name(name: str) -> str:
    """With its tag, without the default host and namespace."""
    full = full_name(name) or name
    return full.removeprefix(f"{_DEFAULT_HOST}/").removeprefix(f"{_DEFAULT_NAMESPACE}/")


@dataclass(slots=True)
class ModelRecord:
    """One installed model. Everything but `name` has a default.

    `context_length` is the trained window in tokens. `execution` is "native" (the engine refuses a prompt that
    cannot be made to fit) or "rendered" (the server cuts it to half the window); before 0.30 all are rendered.
    `load_error`, when set, is the 500 text of every load.
    """

    name: str
    capabilities: tuple[str, ...] = ("completion", "tools")
    context_length: int = 8192
    embedding_length: int = 2048
    family: str = "llama"
    parameter_size: str = "3.2B"
    quantization: str = "Q4_K_M"
    size: int = 2_019_393_189
    digest: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    system: str = ""
    template: str = "{{ .System }}{{ .Prompt }}"
    execution: str = "native"
    strict_template: bool = False
    alternating_template: bool = False
    load_seconds: float | None = None
    tokens_per_s: float | None = None
    prompt_tokens_per_s: float | None = None
    load_error: str = ""
    modified_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.name = short_name(self.name)
        self.capabilities = tuple(self.capabilities)
        self.digest = self.digest or hashlib.sha256(self.name.encode()).hexdigest()

    @classmethod
    def from_json(cls, value: dict[str, Any] | str) -> ModelRecord:
        """A name, or an object with any of the fields; unknown fields are refused."""
        if isinstance(value, str):
            value = {"name": value}
        known = {known.name for known in fields(cls)}
        unknown = set(value) - known
        if unknown:
            raise ValueError(f"unknown model fields: {sorted(unknown)}")
        default = next((record for record in default_models() if record.name == short_name(value["name"])), None)
        base = {name: getattr(default, name) for name in known} if default else {}
        return cls(**{**base, **value})

    @property
    def full_name(self) -> str:
        return full_name(self.name) or self.name

    def can(self, capability: str) -> bool:
        return capability in self.capabilities

    def is_native(self, profile: Profile) -> bool:
        return self.execution == "native" and profile.runs_native_templates

    def details(self, *, with_lengths: bool = False) -> dict[str, Any]:
        details: dict[str, Any] = {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }
        if with_lengths:
            details |= {"context_length": self.context_length, "embedding_length": self.embedding_length}
        return details

    def as_tag(self, profile: Profile) -> dict[str, Any]:
        recent = profile.lists_capabilities_in_tags
        entry: dict[str, Any] = {
            "name": self.name,
            "model": self.name,
            "modified_at": local_time(self.modified_at),
            "size": self.size,
            "digest": self.digest,
            "details": self.details(with_lengths=recent),
        }
        if recent:
            entry["capabilities"] = list(self.capabilities)
        return entry

    def as_show(self, profile: Profile, *, verbose: bool) -> dict[str, Any]:
        info: dict[str, Any] = {
            "general.architecture": self.family,
            "general.parameter_count": int(float(self.parameter_size.rstrip("BMK") or 1) * 1_000_000_000),
            f"{self.family}.context_length": self.context_length,
            f"{self.family}.embedding_length": self.embedding_length,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": ["!", '"'] if verbose else None,
        }
        shown: dict[str, Any] = {"modelfile": f"# Modelfile generated by the test double\nFROM {self.name}\n"}
        if self.parameters:
            shown["parameters"] = "\n".join(f"{key:<30} {value}" for key, value in self.parameters.items())
        shown["template"] = self.template
        if self.system:
            shown["system"] = self.system
        shown |= {"details": self.details(), "model_info": info}
        if verbose:
            shown["tensors"] = [{"name": "token_embd.weight", "type": "Q4_K", "shape": [self.embedding_length, 32000]}]
        if profile.shows_capabilities:
            shown["capabilities"] = list(self.capabilities)
        shown["modified_at"] = local_time(self.modified_at)
        return shown


def default_models() -> list[ModelRecord]:
    """What a fresh double has installed."""
    return [
        ModelRecord("llama3.2:3b", ("completion", "tools"), context_length=131072, embedding_length=3072),
        ModelRecord(
            "qwen3:8b",
            ("completion", "tools", "thinking"),
            context_length=40960,
            embedding_length=4096,
            family="qwen3",
            parameter_size="8.2B",
            size=5_225_388_164,
            execution="rendered",
        ),
        ModelRecord("tinyllama:latest", ("completion",), context_length=2048, parameter_size="1.1B", size=637_700_138),
        ModelRecord(
            "llava:7b", ("completion", "vision"), context_length=4096, embedding_length=4096, parameter_size="7.2B"
        ),
        ModelRecord(
            "nomic-embed-text:latest",
            ("embedding",),
            context_length=2048,
            embedding_length=768,
            family="nomic-bert",
            parameter_size="0.137B",
            quantization="F16",
            size=274_302_450,
        ),
        ModelRecord(
            "all-minilm:latest",
            ("embedding",),
            context_length=512,
            embedding_length=384,
            family="bert",
            parameter_size="0.023B",
            quantization="F16",
            size=45_960_996,
        ),
    ]


class Installed:
    """The installed models, found by any spelling of their name, whatever the case."""

    def __init__(self, records: list[ModelRecord]) -> None:
        self._records = {record.full_name.lower(): record for record in records}

    def __iter__(self) -> Any:
        return iter(sorted(self._records.values(), key=lambda record: -record.modified_at))

    def find(self, name: str) -> ModelRecord | None:
        full = full_name(name)
        return None if full is None else self._records.get(full.lower())

    def add(self, record: ModelRecord) -> None:
        self._records[record.full_name.lower()] = record

    def remove(self, record: ModelRecord) -> None:
        self._records.pop(record.full_name.lower(), None)
