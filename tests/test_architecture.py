"""The import rule: arrows point one way, adapters are nobody's neighbours, libraries live in one file each."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BACKEND = ROOT / "backend"

LAYERS = [
    {"cli", "__main__"},
    {"api"},
    {"bootstrap"},
    {"tasks"},
    {"core"},
    {"tools"},
    {"vector_store", "embeddings", "loaders", "llm", "storage", "workers"},
    {"models"},
    {"utils", "config"},
]
"""From the outermost room to the innermost; a room may import from its own layer and from those below."""

ADAPTER_ROOMS = {"vector_store", "embeddings", "loaders", "llm", "storage", "workers"}

ALLOWED_UPWARD = {("config", "models.errors"), ("utils", "models")}
"""Settings and helpers raise the house's errors and speak of its models: those modules import nothing themselves."""

LIBRARY_HOMES = {
    "fastapi": {"api"},
    "starlette": {"api"},
    "langgraph": {"core/agent_graph.py"},
    "faiss": {"vector_store/dense.py", "vector_store/hnsw.py"},
    "chromadb": {"vector_store/chroma.py", "vector_store/chroma_shelf.py"},
    "ollama": {"llm/ollama.py"},
    "onnxruntime": {"embeddings/minilm.py"},
    "tokenizers": {"embeddings/minilm.py"},
    "sentence_transformers": {"embeddings/sentence_transformers.py", "embeddings/rerank_cross_encoder.py"},
    "pypdf": {"loaders/pdf.py"},
    "docx": {"loaders/docx.py"},
    "langchain_text_splitters": {"utils/chunking_cuts.py"},
    "sympy": {"workers/jobs"},
    "mpmath": {"workers/jobs"},
    "jose": {"utils/auth.py"},
    "bcrypt": {"utils/auth.py"},
    "snowballstemmer": {"vector_store/words.py"},
    "uvicorn": {"cli/serve.py"},
    "python_multipart": {"api/uploads.py"},
    "jsonschema": {"core/json_schema.py"},
    "tavily": {"tools"},
    "ddgs": {"tools"},
    "duckdb": {"workers/jobs"},
    "openpyxl": {"workers/jobs", "loaders/xlsx.py"},
    "sqlalchemy": {"workers/jobs", "tools"},
    "mcp": {"tools", "api"},
}
HEAVY = {
    "langgraph", "faiss", "chromadb", "onnxruntime", "tokenizers", "sentence_transformers", "pypdf", "docx", "sympy",
    "langchain_core", "langchain_text_splitters", "numpy", "torch", "ollama", "jose", "bcrypt", "httpx", "aiohttp",
    "jsonschema", "tavily", "ddgs", "duckdb", "openpyxl", "sqlalchemy", "psycopg", "mcp", "lxml", "pygal",
}  # fmt: skip
LATE_ROOMS = {
    "workers/jobs",
    *(
        f"vector_store/{name}.py"
        for name in (
            "chroma_shelf", "dense", "disk_index", "former_files", "fusion", "hnsw", "index_folder", "index_state",
            "postings", "ranking", "segment_files", "segment_writer", "upkeep",
        )
    ),
}  # fmt: skip
"""Imported by nobody at start: what they import at their top costs nothing until they are used."""


def modules() -> list[Path]:
    return sorted(path for path in BACKEND.rglob("*.py"))


def room_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__main__"


@functools.cache
def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Every imported module and whether the import runs when the file is imported (not under TYPE_CHECKING)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    out: list[tuple[str, bool]] = []

    def walk(node: ast.AST, at_import: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                out.extend((alias.name, at_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                out.append((child.module, at_import))
                if child.module.startswith("backend"):
                    out.extend((f"{child.module}.{alias.name}", at_import) for alias in child.names)
            is_type_checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            deferred = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_type_checking
            walk(child, at_import and not deferred)

    walk(tree, True)
    return out


def layer(room: str) -> int:
    for index, rooms in enumerate(LAYERS):
        if room in rooms:
            return index
    raise AssertionError(f"backend/{room} is in no layer: add it to LAYERS in tests/test_architecture.py.")


def dotted_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(BACKEND).as_posix())
def test_arrows_point_one_way(path: Path) -> None:
    here = room_of(dotted_name(path))
    for target, _ in imports_of(path):
        if not target.startswith("backend."):
            continue
        there = room_of(target)
        if there.startswith("__version") or (not (BACKEND / there).exists() and not (BACKEND / f"{there}.py").exists()):
            continue
        allowed_upward = any(here == a and target.startswith(f"backend.{b}") for a, b in ALLOWED_UPWARD)
        assert layer(there) >= layer(here) or allowed_upward, (
            f"{path.relative_to(ROOT)} imports {target}, which lies further out: move what both need inwards, "
            f"or hand it over as an argument."
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(BACKEND).as_posix())
def test_other_rooms_are_entered_by_their_port(path: Path) -> None:
    here = room_of(dotted_name(path))
    if here == "bootstrap":
        return
    for target, _ in imports_of(path):
        parts = target.split(".")
        if len(parts) < 3 or parts[0] != "backend" or parts[1] not in ADAPTER_ROOMS or parts[1] == here:
            continue
        module = parts[2]
        is_port = module in ("port", "stores") or module.endswith(("_port", "_store"))
        assert is_port, (
            f"{path.relative_to(ROOT)} imports {target}: from another room import only its port; "
            f"bootstrap alone picks adapters."
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(BACKEND).as_posix())
def test_libraries_live_in_the_file_that_wraps_them(path: Path) -> None:
    where = path.relative_to(BACKEND).as_posix()
    for target, _ in imports_of(path):
        library = target.split(".")[0]
        homes = LIBRARY_HOMES.get(library)
        assert homes is None or any(where == home or where.startswith(home + "/") for home in homes), (
            f"backend/{where} imports {library}: only {', '.join(sorted(homes or ()))} may; use the port instead."
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(BACKEND).as_posix())
def test_heavy_libraries_are_imported_on_first_use(path: Path) -> None:
    where = path.relative_to(BACKEND).as_posix()
    if any(where == late or where.startswith(late + "/") for late in LATE_ROOMS):
        return
    for target, at_import in imports_of(path):
        assert not (at_import and target.split(".")[0] in HEAVY), (
            f"backend/{where} imports {target} at its top: move it into the function that uses it."
        )


def test_broad_excepts_are_the_two_that_are_allowed() -> None:
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None
                or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
            )
            if broad:
                found.append(path.relative_to(BACKEND).as_posix())
    assert sorted(found) == ["api/sse.py", "core/toolbox.py"], (
        "Catch what you expect by name: only core/toolbox.call and the stream encoder may catch everything."
    )


def test_no_slow_middleware() -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert "BaseHTTPMiddleware" not in text and '.middleware("http")' not in text, f"{path.name}: pure ASGI only."


def test_rooms_stay_small() -> None:
    long = {path.name: n for path in modules() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long, f"cut by subject: {long}"
