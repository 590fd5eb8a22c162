from __future__ import annotations

from tests.doubles.fixtures import ollama_double, ollama_double_process

__all__ = ["ollama_double", "ollama_double_process"]
