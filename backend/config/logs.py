"""Where log lines go: a rotating file of mode 0600, warnings also to the console, secrets to neither."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys

from backend.config.settings import Settings
from backend.models.errors import SettingsError

MAX_BYTES = 10 * 1_048_576
BACKUPS = 3
_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_-]{8,}|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|(?i:bearer\s+)[^\s\"']+"
    r"|(?i:(?:password|secret_key|api_key|token)[\"']?\s*[=:]\s*)[\"']?[^\s\"',}]+"
)


class _Redacted(logging.Formatter):
    """One line a record, control characters escaped, whatever looks like a secret blanked."""

    def format(self, record: logging.LogRecord) -> str:
        text = _SECRET.sub("[redacted]", super().format(record))
        head, _, trace = text.partition("\n")
        safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in head)
        return f"{safe}\n{trace}" if trace else safe


def set_up_logging(settings: Settings) -> None:
    """Configure the root logger; call once, at start."""
    path = settings.log_path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    except OSError as error:
        raise SettingsError(f"LOG_FILE='{path}' cannot be written ({error.strerror}): name another file.") from None
    formatter = _Redacted("%(asctime)s %(levelname)s %(name)s %(message)s")
    to_file = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
    to_console = logging.StreamHandler(sys.stderr)
    to_console.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(settings.log_level)
    for handler in (to_file, to_console):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    for noisy in ("httpx", "httpx2", "httpcore", "mcp", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
