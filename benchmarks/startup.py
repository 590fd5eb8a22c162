"""What importing the application, starting the server and idling cost.

`python -m benchmarks.startup`: CPU seconds and memory of the import, seconds to /health, idle memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from benchmarks.streaming import ROOT, free_port, process, rss_mb

IMPORT = (
    "import time, resource, os; t = time.process_time(); import backend.api.app;"
    "pages = int(open('/proc/self/statm').read().split()[1]);"
    "print(time.process_time() - t, pages * os.sysconf('SC_PAGE_SIZE') / 1e6)"
)


def main() -> None:
    for _ in range(2):  # The first run may have to compile.
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ}
        )
    cpu, memory = done.stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        settings = {"DATA_DIR": f"{folder}/data", "SERVER_PORT": str(port), "OLLAMA_HOST": "http://127.0.0.1:9"}
        started = time.perf_counter()
        with process([sys.executable, "run_backend.py"], "Stop with Ctrl+C", **settings) as (server, _):
            first = time.perf_counter() - started
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
            time.sleep(2)
            idle = rss_mb(server.pid)
    print("| figure | measured | aim |\n|---|---|---|")
    print(f"| importing the app, CPU s | {float(cpu):.2f} | 1.0 |")
    print(f"| importing the app, MB | {float(memory):.0f} | 110 |")
    print(f"| first start to /health (a password is hashed), s | {first:.2f} | 2.0 |")
    print(f"| idle memory, MB | {idle:.0f} | 120 |")


if __name__ == "__main__":
    main()
