"""Headers for handing out what users stored."""

from __future__ import annotations

from urllib.parse import quote

INLINE_TYPES = frozenset({"application/pdf", "text/plain", "text/markdown", "text/csv", "application/json"})


def attachment(filename: str) -> dict[str, str]:
    """`Content-Disposition: attachment` with an ASCII fallback and the full name as RFC 5987 asks."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in filename) or "file"
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}",
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }
