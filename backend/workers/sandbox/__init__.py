"""The layered sandbox for Python code: namespaces where the system gives them, always Landlock, seccomp and limits.

`landlock`, `seccomp`, `lockdown` and `inside` are the program that runs within: it locks itself in and says "ready"
before it is given any code. The other modules are the server's side: they start, feed, watch and end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.workers.sandbox_port import Sandbox


def create(settings: Settings) -> Sandbox:
    """Starts nothing; processes come with the first use, or with `prepare`."""
    from backend.workers.sandbox.service import LayeredSandbox

    return LayeredSandbox.of(settings)
