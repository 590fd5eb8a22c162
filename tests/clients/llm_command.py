"""The `llm` command, with models from its extra-openai-models.yaml and with `llm openai endpoint`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import (
    AGENT_MODEL,
    BASE_URL,
    CHAT_MODEL,
    EMBEDDING_MODEL,
    EMBEDDING_SIZE,
    GREETING,
    KEY,
    NO_MODEL,
    OFFLINE_BASE_URL,
    OFFLINE_KEY,
    PERSON_QUESTION,
    PRODUCT,
    PRODUCT_QUESTION,
    RED_DOT,
    SLOW_GREETING,
    VISION_MODEL,
    WEATHER_QUESTION,
    WEATHER_REPORT,
    WRONG_KEY,
    Client,
    plain,
)

row = Client("llm", "`llm` command", "llm")
row.lacks("files", "vector_stores")

FOLDER = Path(tempfile.mkdtemp(prefix="llm-", dir=os.environ.get("HOME")))
LLM = str(Path(sys.executable).parent / "llm")


def entry(model_id: str, name: str, base: str = BASE_URL, key: str = "hearth", **fields: bool) -> dict[str, object]:
    """One model of extra-openai-models.yaml, which may as well be JSON."""
    able = {"supports_tools": True, "supports_schema": True}
    return {"model_id": model_id, "model_name": name, "api_base": base, "api_key_name": key, **able, **fields}


MODELS = [
    entry("chat", CHAT_MODEL),
    entry("agent", AGENT_MODEL),
    entry("vision", VISION_MODEL, vision=True),
    entry("responses", CHAT_MODEL, responses=True),
    entry("legacy", CHAT_MODEL, completion=True, supports_tools=False, supports_schema=False),
    entry("offline", AGENT_MODEL, OFFLINE_BASE_URL, "offline"),
    entry("stranger", CHAT_MODEL, key="wrong"),
    entry("nobody", NO_MODEL),
]
WEATHER = (
    "def get_weather(city: str) -> str:\n    'The weather in a city'\n    return '18 degrees and sunny in ' + city\n"
)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
)


def llm(*arguments: str, fails: bool = False) -> str:
    """What the command prints; its standard error when it is expected to fail."""
    environment = {**os.environ, "LLM_USER_PATH": str(FOLDER), "OPENAI_BASE_URL": BASE_URL, "OPENAI_API_KEY": KEY}
    ended = subprocess.run(
        [LLM, *arguments], env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert (ended.returncode != 0) is fails, (ended.stdout + ended.stderr)[-300:]
    return ended.stderr if fails else ended.stdout


def prepare() -> None:
    (FOLDER / "extra-openai-models.yaml").write_text(json.dumps(MODELS))
    (FOLDER / "keys.json").write_text(json.dumps({"hearth": KEY, "offline": OFFLINE_KEY, "wrong": WRONG_KEY}))


@row.check("models")
def models() -> None:
    assert CHAT_MODEL in llm("openai", "endpoint", BASE_URL, "--models", "--key", KEY)


@row.check("chat")
def chat() -> None:
    assert GREETING in llm("-m", "chat", "--no-stream", "-s", "Be brief.", GREETING)
    assert "And again" in llm("-c", "--no-stream", "And again")


@row.check("stream")
def stream() -> None:
    assert SLOW_GREETING in llm("-m", "chat", SLOW_GREETING)
    assert SLOW_GREETING in llm("openai", "endpoint", BASE_URL, SLOW_GREETING, "-m", CHAT_MODEL, "--key", KEY)


@row.check("tools")
def tools() -> None:
    for mode in ((), ("--no-stream",)):
        assert WEATHER_REPORT in llm("-m", "chat", "--functions", WEATHER, *mode, WEATHER_QUESTION)


@row.check("structured")
def structured() -> None:
    assert json.loads(llm("-m", "chat", "--schema", SCHEMA, PERSON_QUESTION)) == {"name": "Ada Lovelace", "age": 36}


@row.check("images")
def images() -> None:
    picture = FOLDER / "dot.png"
    picture.write_bytes(base64.b64decode(RED_DOT.partition(",")[2]))
    assert GREETING in llm("-m", "vision", GREETING, "-a", str(picture))


@row.check("embeddings")
def embeddings() -> None:
    # The command knows only OpenAI's own model names here, so a plugin of one class gives it ours.
    program = (
        "import json\n"
        "from llm.default_plugins.openai_models import OpenAIEmbeddingModel\n"
        f"model = OpenAIEmbeddingModel('hearth', {EMBEDDING_MODEL!r})\n"
        "print(json.dumps([len(row) for row in model.embed_multi(['a cat', 'a dog'])]))\n"
    )
    environment = {**os.environ, "LLM_USER_PATH": str(FOLDER), "OPENAI_BASE_URL": BASE_URL, "OPENAI_API_KEY": KEY}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr[-300:]
    assert json.loads(ended.stdout) == [EMBEDDING_SIZE] * 2


@row.check("responses")
def responses() -> None:
    assert GREETING in llm("-m", "responses", GREETING)
    assert WEATHER_REPORT in llm("-m", "responses", "--functions", WEATHER, WEATHER_QUESTION)
    assert json.loads(llm("-m", "responses", "--no-stream", "--schema", SCHEMA, PERSON_QUESTION))["age"] == 36


@row.check("completions")
def completions() -> None:
    assert GREETING in llm("-m", "legacy", GREETING)


@row.check("agent")
def agent() -> None:
    assert PRODUCT in plain(llm("-m", "agent", PRODUCT_QUESTION))


@row.check("builtin")
def builtin() -> None:
    assert PRODUCT in plain(llm("-m", "offline", PRODUCT_QUESTION))


@row.check("errors")
def errors() -> None:
    assert "401" in llm("-m", "stranger", "Hi", fails=True)
    assert "404" in llm("-m", "nobody", "Hi", fails=True)


prepare()
row.run()
