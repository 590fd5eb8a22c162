"""Draw the plan-and-execute graph into docs/agents.md, from the graph itself.

python -m scripts.draw_graph          writes it
python -m scripts.draw_graph --check  exit code 1 when the file is not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from backend.core.agent_graph import build_graph

DOCS = Path(__file__).parent.parent / "docs" / "agents.md"
_BLOCK = re.compile(r"(<!-- graph: begin -->\n).*?(<!-- graph: end -->)", re.DOTALL)


def mermaid() -> str:
    """The graph as a fenced Mermaid diagram."""
    lines = build_graph().get_graph().draw_mermaid(with_styles=False).strip().splitlines()
    return "\n".join(["```mermaid", *(line.rstrip() for line in lines), "```"])


def with_drawing(text: str) -> str:
    """The document with its drawing replaced. Raises ValueError when it has no place for one."""
    drawn, count = _BLOCK.subn(lambda found: f"{found[1]}{mermaid()}\n{found[2]}", text)
    if count != 1:
        raise ValueError("docs/agents.md needs exactly one pair of graph: begin and graph: end comments.")
    return drawn


def main() -> int:
    before = DOCS.read_text(encoding="utf-8")
    after = with_drawing(before)
    if "--check" in sys.argv:
        if before != after:
            print("docs/agents.md is out of date: run python -m scripts.draw_graph")
        return int(before != after)
    DOCS.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
