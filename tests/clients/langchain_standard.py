"""LangChain's own conformance tests for chat models and embeddings, run over ChatOpenAI pointed at Hearth.

Run as a program it runs itself under pytest and writes one line for each test. Files that the tests would fetch from
the internet are made on the spot.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from checks import BASE_URL, CHAT_MODEL, EMBEDDING_MODEL, KEY, RED_DOT, VISION_MODEL
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as standard

OTHER_MODEL = "qwen3:8b"


def _pdf() -> bytes:
    """One page that says "Dummy PDF file"."""
    text = b"BT /F1 24 Tf 40 100 Td (Dummy PDF file) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table) + trailer


class _Fetched:
    def __init__(self, url: str) -> None:
        self.content = _pdf() if url.endswith(".pdf") else base64.b64decode(RED_DOT.partition(",")[2])


class _NoInternet:
    """Stands where the tests' module expects httpx."""

    @staticmethod
    def get(url: str, **_: Any) -> _Fetched:
        return _Fetched(url)


class TestChat(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _files_made_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(standard, "httpx", _NoInternet)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # A custom address switches stream usage off unless it is asked for.
        return {"model": CHAT_MODEL, "base_url": BASE_URL, "api_key": KEY, "stream_usage": True, "max_retries": 0}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return OTHER_MODEL

    @property
    def supports_pdf_inputs(self) -> bool:
        return True


class TestChatOverResponses(TestChat):
    """The same tests with the Responses API underneath."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}


class TestVision(TestChat):
    """The tests with pictures, with a model that sees."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "model": VISION_MODEL}

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestVisionOverResponses(TestVision):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}


class TestPictureAddresses(TestVision):
    """Pictures given by an address, which the server would have to fetch."""

    @property
    def supports_image_urls(self) -> bool:
        return True


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        # Without this the client sends token ids of another model's vocabulary.
        model = {"model": EMBEDDING_MODEL, "check_embedding_ctx_length": False}
        return {**model, "base_url": BASE_URL, "api_key": KEY}


ONLY = {
    "TestVision": ["image", "pdf", "audio", "anthropic"],
    # Over Responses the client leaves sound out without a word, so that test would show nothing.
    "TestVisionOverResponses": ["image", "pdf", "anthropic"],
    "TestPictureAddresses": ["image_inputs"],
}
"""Suites that differ from another one only in what these words name."""


def _suite(nodeid: str) -> str:
    return nodeid.split("::")[1]


class _Recorder:
    """Writes what became of each test."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if any(word in item.name for word in ONLY.get(_suite(item.nodeid), [""]))]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        suite, test = report.nodeid.split("::")[1:3]
        outcome = {"passed": "pass", "skipped": "absent"}.get(report.outcome, "fail")
        line = {
            "client": "langchain-tests",
            "name": "langchain-tests",
            "version": version("langchain-tests"),
            "suite": suite,
            "test": test,
            "outcome": outcome,
            "seconds": round(report.duration, 3),
            "note": _why(report),
        }
        with Path(os.environ["HEARTH_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _why(report: pytest.TestReport) -> str:
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(crash.message).split())[:400] if crash is not None else ""


if __name__ == "__main__":
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:codspeed", "--noconftest"]
    settings = ["-c", os.devnull, f"--rootdir={Path(__file__).parent}", "-o", "asyncio_mode=auto"]
    # The library keeps one asynchronous client for the life of the process, so there must be one loop.
    settings += [f"-oasyncio_default_{what}_loop_scope=session" for what in ("fixture", "test")]
    pytest.main([*quiet, *settings, __file__, *sys.argv[1:]], plugins=[_Recorder()])
