"""Where the program that reads scanned pages is."""

from __future__ import annotations

import re
import shutil

TESSERACT = "tesseract"
_LANGUAGES = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,30}(?:\+[A-Za-z][A-Za-z0-9_]{1,30}){0,7}")


def tesseract_path() -> str | None:
    """The installed `tesseract` command, None if there is none."""
    return shutil.which(TESSERACT)


def are_languages(languages: str) -> bool:
    """Whether this is a list of languages as tesseract takes it: `eng`, `eng+deu`, `chi_sim`, eight at most."""
    return _LANGUAGES.fullmatch(languages) is not None
