"""What is installed, described, remembered and pulled."""

import asyncio
import os
import subprocess
import sys

import pytest

from backend.llm.ollama import OllamaPackage
from backend.llm.ollama_library import Library
from backend.llm.ollama_models import full_name
from backend.models.errors import ModelNotFound, UpstreamCut, UpstreamError, UpstreamUnreachable
from tests.llm.providing import events_of, free_url, provider_of
from tests.llm.raw_upstream import RawUpstream, model_info, serving

EMBEDDER = {"capabilities": ["embedding"], "model_info": model_info(512)}
MODELS = {
    "nomic-embed-text:latest": EMBEDDER,
    "m:latest": {},
    "Big/Qwen3:8b": {"capabilities": ["completion", "vision"], "model_info": model_info(40960)},
}


@pytest.mark.parametrize(
    ("written", "compared"),
    [("m", "m:latest"), ("M:Latest", "m:latest"), ("ns/m", "ns/m:latest"), ("host:5000/ns/m", "host:5000/ns/m:latest")],
)
def test_name_without_a_tag_means_latest_in_any_case(written, compared):
    assert full_name(written) == compared


async def test_chat_models_and_embedding_models_are_told_apart():
    async with serving(RawUpstream(models=MODELS)) as upstream, provider_of(upstream) as provider:
        chat, embedding = await provider.list_models(), await provider.embedding_models()
    assert [info.id for info in chat] == ["m:latest", "Big/Qwen3:8b"]
    assert [info.id for info in embedding] == ["nomic-embed-text:latest"]


async def test_model_of_the_settings_comes_first():
    async with (
        serving(RawUpstream(models=MODELS)) as upstream,
        provider_of(upstream, ollama_model="big/qwen3:8b") as provider,
    ):
        assert [info.id for info in await provider.list_models()] == ["Big/Qwen3:8b", "m:latest"]


async def test_model_is_described():
    async with serving(RawUpstream(models=MODELS)) as upstream, provider_of(upstream) as provider:
        info = await provider.describe("BIG/QWEN3:8B")
    assert (info.id, info.provider, info.owned_by) == ("Big/Qwen3:8b", "ollama", "Big")
    assert {"completion", "vision"} <= info.capabilities
    assert info.context_length == 40960
    assert info.created > 1_700_000_000
    assert info.size == 1000


@pytest.mark.parametrize(
    ("shown", "capabilities", "context_length"),
    [
        ({"capabilities": None}, {"completion", "structured"}, 8192),
        ({"capabilities": []}, {"completion", "structured"}, 8192),
        ({"model_info": None}, {"completion", "tools", "structured"}, 8192),
        ({"model_info": {"general.architecture": "x"}}, {"completion", "tools", "structured"}, 8192),
        (
            {"model_info": {"general.architecture": "x", "x.context_length": "9"}},
            {"completion", "tools", "structured"},
            8192,
        ),
    ],
    ids=["no capabilities", "empty capabilities", "no model_info", "no length", "length as text"],
)
async def test_older_servers_that_say_less_are_understood(shown, capabilities, context_length):
    async with serving(RawUpstream(models={"m:latest": shown})) as upstream, provider_of(upstream) as provider:
        info = await provider.describe("m")
    assert (info.capabilities, info.context_length) == (capabilities, context_length)


async def test_descriptions_are_asked_for_once_also_by_many_at_a_time():
    async with serving(RawUpstream()) as upstream, provider_of(upstream) as provider:
        await asyncio.gather(*(provider.describe("m") for _ in range(20)))
        await provider.describe("M:latest")
        await provider.list_models()
    assert (upstream.paths.count("/api/tags"), upstream.paths.count("/api/show")) == (1, 1)


async def test_memory_lasts_only_for_a_while():
    now = 1000.0
    async with serving(RawUpstream()) as upstream:
        library = Library([upstream.url], OllamaPackage(), clock=lambda: now)
        await library.details("m")
        now += 61
        await library.details("m")
        await library.aclose()
    assert (upstream.paths.count("/api/tags"), upstream.paths.count("/api/show")) == (2, 2)


async def test_list_asks_nothing_anew_about_a_model_that_is_the_same():
    now = 1000.0
    async with serving(RawUpstream(models=MODELS)) as upstream:
        library = Library([upstream.url], OllamaPackage(), clock=lambda: now)
        await library.all_details()
        upstream.paths.clear()
        now += 300
        again = await library.all_details()
        assert [each.info.id for each in again] == list(MODELS)
        assert upstream.paths == ["/api/tags"], "slow descriptions are not waited for"
        upstream.tags = upstream._tags()
        upstream.tags["models"][0]["size"] += 1
        now += 300
        await library.all_details()
        assert upstream.paths.count("/api/show") == 1, "but a model that was replaced is another"
        now += 4000
        await library.all_details()
        assert upstream.paths.count("/api/show") == 1 + len(MODELS)
        await library.aclose()


async def test_model_installed_since_the_last_look_is_found():
    now = 1000.0
    async with serving(RawUpstream()) as upstream:
        library = Library([upstream.url], OllamaPackage(), clock=lambda: now)
        await library.details("m")
        upstream.models["new:latest"] = {}
        now += 2
        assert (await library.details("new")).info.id == "new:latest"
        await library.aclose()


async def test_one_model_that_cannot_be_described_does_not_hide_the_others():
    async with serving(RawUpstream(models=MODELS)) as upstream, provider_of(upstream) as provider:
        upstream.tags = upstream._tags()
        upstream.models = {name: MODELS[name] for name in ("m:latest", "nomic-embed-text:latest")}
        assert [info.id for info in await provider.list_models()] == ["m:latest", "Big/Qwen3:8b"]


@pytest.mark.parametrize(
    "tags",
    [{"models": None}, {"models": []}, {}],
    ids=["null", "empty", "absent"],
)
async def test_empty_installation_lists_nothing(tags):
    async with serving(RawUpstream(tags=tags)) as upstream, provider_of(upstream) as provider:
        assert await provider.list_models() == []


@pytest.mark.parametrize(
    "tags",
    [b"<html>Welcome</html>", b"[1]", b"{", {"models": 3}, b""],
    ids=["HTML", "list", "half JSON", "wrong shape", "no body"],
)
async def test_ups_1_list_that_is_not_ollama_s_is_an_upstream_error(tags):
    async with serving(RawUpstream(tags=tags)) as upstream, provider_of(upstream) as provider:
        with pytest.raises(UpstreamError, match="not Ollama"):
            await provider.list_models()


async def test_ups_1_list_of_an_absent_ollama_is_unreachable():
    library = Library([free_url()], OllamaPackage())
    with pytest.raises(UpstreamUnreachable):
        await library.installed()
    await library.aclose()


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", free_url())
    monkeypatch.setenv("http_proxy", free_url())
    async with serving(RawUpstream()) as upstream, provider_of(upstream) as provider:
        assert await provider.list_models()
        assert await events_of(provider)


PULL = [
    {"status": "pulling manifest"},
    {"status": "pulling 6a07", "digest": "sha256:6a07", "total": 100},
    {"status": "pulling 6a07", "digest": "sha256:6a07", "total": 100, "completed": 100},
    {"status": "success"},
]


async def test_pull_reports_its_progress():
    async with serving(RawUpstream(pull=PULL)) as upstream, provider_of(upstream) as provider:
        steps = [step async for step in provider.pull("new")]
    assert [step["status"] for step in steps] == [step["status"] for step in PULL]
    assert steps[2] == {"status": "pulling 6a07", "digest": "sha256:6a07", "total": 100, "completed": 100}


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (PULL[:-1], UpstreamCut),
        ([PULL[0], {"error": "pull model manifest: file does not exist"}], ModelNotFound),
        ([PULL[0], {"error": "open /root/.ollama: no space left on device"}], UpstreamError),
    ],
    ids=["broken off", "no such model", "disk full"],
)
async def test_pull_that_fails_says_so(lines, error):
    async with serving(RawUpstream(pull=lines)) as upstream, provider_of(upstream) as provider:
        with pytest.raises(error) as caught:
            async for _ in provider.pull("new"):
                pass
    assert "/root" not in caught.value.message


async def test_loaded_window_is_told():
    async with serving(RawUpstream(loaded_context=16_384)) as upstream, provider_of(upstream) as provider:
        assert await provider.loaded_context("m") == 16_384
        upstream.loaded_context = 0
        assert await provider.loaded_context("m") == 0


def test_several_addresses_in_the_environment_do_not_break_the_package():
    code = (
        "import os; from backend.llm.ollama import import_package; import_package();"
        "assert os.environ['OLLAMA_HOST'] == 'http://a:1,http://b:2'"
    )
    environment = {**os.environ, "OLLAMA_HOST": "http://a:1,http://b:2"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_importing_the_provider_loads_no_client_library():
    code = (
        "import sys, backend.llm.ollama;"
        "assert not {'aiohttp', 'ollama', 'httpx'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
