"""The documentation of the agents says what the code does."""

from __future__ import annotations

from backend.core.agent_graph import NODES
from scripts.draw_graph import DOCS, mermaid, with_drawing
from tests.core.agent_helpers import AGENTS


def test_the_drawing_in_the_docs_is_the_graph():
    text = DOCS.read_text(encoding="utf-8")
    assert with_drawing(text) == text, "run python -m scripts.draw_graph"


def test_the_drawing_shows_every_node_and_the_way_back():
    drawn = mermaid()
    assert all(node in drawn for node in NODES)
    assert "verification -. &nbsp;again&nbsp; .-> planning" in drawn


def test_every_agent_is_described():
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in AGENTS)
