"""Taking the server's paths out of what code prints: where the interpreter lies is nobody's business."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from backend.workers.sandbox import interpreter
from backend.workers.sandbox.scratch import PREFIX


def without_paths(text: str) -> str:
    """The text with places of the interpreter as `<python>`, of packages as `<packages>`, the scratch folder as `.`."""
    here = interpreter.places()
    if "/" not in text:
        return text
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/{PREFIX}\d+-\w+", ".", text)
    for path in here.packages.values():
        text = text.replace(str(Path(path).parent), "<packages>")
    for path in (here.stdlib, str(Path(here.executable).parent.parent)):
        if path not in ("/", "/usr"):
            text = text.replace(path, "<python>")
    return text
