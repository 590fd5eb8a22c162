"""Learn from the router's labelled examples once, so that no server has to: writes backend/core/routing_examples.npz.

    python scripts/embed_routing_examples.py

Run it after editing backend/core/routing_examples.jsonl; a test fails while the file is stale.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.core.routing_examples import LEARNED, coarse, learn, load_examples, save
from backend.embeddings.minilm import MiniLM


async def main() -> None:
    examples = load_examples()
    embedder = MiniLM()
    vectors = coarse(await embedder.embed_documents([example.text for example in examples]))
    await embedder.aclose()
    save(learn(examples, vectors), examples, embedder.name)
    print(f"{LEARNED.name}: {len(examples)} examples, {LEARNED.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    asyncio.run(main())
