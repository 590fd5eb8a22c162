"""Start the backend, which also serves the chat page: `python run_backend.py`."""

from __future__ import annotations

import sys

from backend.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
