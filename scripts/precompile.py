"""Leaves compiled files of what the server uses: packages are installed uncompiled, which halves the installation.

`python -m scripts.precompile start` for what every start imports, `rest` for what is imported on first use.
"""

from __future__ import annotations

import importlib
import sys

SETS = {
    "start": ["backend.api.app", "backend.cli.serve", "uvicorn.protocols.http.httptools_impl", "aiohttp", "bcrypt",
              "jose.jwt", "ollama"],
    "rest": ["sympy", "numpy", "faiss", "onnxruntime", "tokenizers", "langgraph.graph", "pypdf", "docx",
             "langchain_text_splitters"],
}  # fmt: skip


def main() -> None:
    sys.dont_write_bytecode = False
    for name in SETS[sys.argv[1]]:
        importlib.import_module(name)


if __name__ == "__main__":
    main()
