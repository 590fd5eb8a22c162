"""Which functions a worker may call, by name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

JOB_PACKAGES = ("backend.workers.jobs", "backend.loaders")
"""The packages whose public functions may be called."""

_JOB = re.compile(r"(?P<module>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+):(?P<function>[a-z][a-z0-9_]*)")


def split_job(job: str, packages: Sequence[str] = JOB_PACKAGES) -> tuple[str, str]:
    """`module:function` as its two parts.

    Raises:
        ValueError: not of that form, or the module is not inside one of the packages.
    """
    found = _JOB.fullmatch(job)
    if found is None or not found["module"].startswith(tuple(f"{package}." for package in packages)):
        raise ValueError(f"not a job: {job[:100]!r}")
    return found["module"], found["function"]


def function_of(module: ModuleType, name: str) -> Callable[..., Any]:
    """A public function defined in the module itself; what it merely imports cannot be called.

    Raises ValueError.
    """
    function = getattr(module, name, None)
    if name.startswith("_") or not callable(function) or getattr(function, "__module__", "") != module.__name__:
        raise ValueError(f"no job {name[:50]!r} in {module.__name__}")
    return function  # type: ignore[no-any-return]


def preload(module_name: str) -> ModuleType:
    """Import a job module and what its optional `PRELOAD: tuple[str, ...]` names."""
    module = importlib.import_module(module_name)
    for name in getattr(module, "PRELOAD", ()):
        importlib.import_module(name)
    return module
