"""The program within the sandbox: locks itself in, says so, and only then takes code.

Talks over its standard input, a socket, which it moves out of the code's way. To the server: the scratch folder's
descriptor, the line `ready` or `failed REASON`, then a frame (four bytes of length, JSON) for each result. From the
server: a frame with the code and the sizes of files, followed by the files' bytes.
"""

from __future__ import annotations

import ast
import builtins
import json
import linecache
import os
import resource
import socket
import sys
import traceback
import types
from typing import Any

from backend.workers.sandbox import lockdown

MAX_VALUE = 10_000
"""Characters of the last expression's repr."""
MAX_TRACE = 12_000
_NOFOLLOW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def main(config_text: str) -> None:
    """The life of the process: it never returns."""
    config = json.loads(config_text)
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        os.chdir(config["scratch"])
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        socket.send_fds(control, [b"scratch\n"], [handle])
        os.close(handle)
        _arrange(config)
        lockdown.lock(config)
    except (OSError, ValueError) as error:
        control.sendall(f"failed {type(error).__name__}: {error}\n".encode())
        os._exit(1)
    control.sendall(b"ready\n")
    _serve(control)


def _arrange(config: dict[str, Any]) -> None:
    """The surroundings that code finds: an environment without anything in it, and where packages lie."""
    os.environ.clear()
    os.environ.update(config["environment"])
    sys.argv[:] = ["code.py"]
    sys.dont_write_bytecode = True
    sys.meta_path.append(Packages(config["packages"]))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)


class Packages:
    """Finds the extra packages where they are installed, without a folder on the path that would list the others."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """As importlib's finders do."""
        place = self._places.get(name)
        if place is None:
            return None
        from importlib.machinery import ModuleSpec
        from importlib.util import spec_from_file_location

        if place.endswith(".py"):
            return spec_from_file_location(name, place)
        if os.access(f"{place}/__init__.py", os.R_OK):
            return spec_from_file_location(name, f"{place}/__init__.py", submodule_search_locations=[place])
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [place]
        return spec


def _serve(control: socket.socket) -> None:
    session = Session()
    while True:
        try:
            order = json.loads(_receive(control, int.from_bytes(_receive(control, 4), "big")))
            for name, size in order["files"]:
                _put(name, _receive(control, size))
        except EOFError:
            os._exit(0)
        answer = json.dumps(session.run(order["code"])).encode()
        for stream in (sys.stdout, sys.stderr):
            with _Caught():
                stream.flush()
        control.sendall(len(answer).to_bytes(4, "big") + answer)


def _receive(control: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = control.recv(min(size - len(parts), 1_048_576))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _put(name: str, content: bytes) -> None:
    """A file of the user's in the scratch folder; code that has put a folder or link there goes without."""
    with _Caught(), os.fdopen(os.open(name, _NOFOLLOW, 0o600), "wb") as file:
        file.write(content)


class _Caught:
    """Whatever ends the body, code's own exits included: `error` is it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> _Caught:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> bool:
        self.error = error
        return True


class Session:
    """The variables of one process, and the code that has run in it."""

    def __init__(self) -> None:
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        self._calls = 0
        self._names: set[str] = set()

    def run(self, code: str) -> dict[str, Any]:
        """Run code; its last expression's value as text, or its exception, and what the process has used."""
        self._calls += 1
        name = "code.py" if self._calls == 1 else f"code-{self._calls}.py"
        self._names.add(name)
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        sys.modules["__main__"] = self._main
        answer: dict[str, Any] = {"value": None, "error": None, "cut": False}
        before: set[tuple[str, int]] = set()
        with _Caught():
            before = _pictures()
        with _Caught() as caught:
            value = self._execute(code, name)
            if value is not None:
                answer["value"], answer["cut"] = _cut(repr(value), MAX_VALUE)
        with _Caught():
            _save_figures(self._calls, before)
        if caught.error is not None:
            with _Caught() as again:
                answer["error"], answer["cut"] = _cut(self._told(caught.error), MAX_TRACE)
            if again.error is not None:
                answer["error"] = type(caught.error).__name__
        answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer["cpu"] = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        return answer

    def _execute(self, code: str, name: str) -> Any:
        tree = ast.parse(code, name)
        last = tree.body[-1] if tree.body else None
        space = self._main.__dict__
        if not isinstance(last, ast.Expr):
            exec(compile(tree, name, "exec", dont_inherit=True), space)
            return None
        tree.body.pop()
        exec(compile(tree, name, "exec", dont_inherit=True), space)
        return eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), space)

    def _told(self, error: BaseException) -> str | None:
        """The traceback through this session's code only; None for a plain exit."""
        if isinstance(error, SystemExit):
            return None if error.code in (None, 0) else f"SystemExit: {error.code}"
        told = traceback.TracebackException.from_exception(error, compact=True)
        self._only_own(told, set())
        return "".join(told.format()).rstrip()

    def _only_own(self, told: traceback.TracebackException | None, seen: set[int]) -> None:
        if told is None or id(told) in seen:
            return
        seen.add(id(told))
        told.stack[:] = [frame for frame in told.stack if frame.filename in self._names]
        for inner in (told.__cause__, told.__context__, *(told.exceptions or ())):
            self._only_own(inner, seen)


def _cut(text: str | None, limit: int) -> tuple[str | None, bool]:
    if text is None:
        return None, False
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= limit:
        return text, False
    return f"{text[: limit * 3 // 4]}\n… {len(text) - limit} characters cut …\n{text[-limit // 4 :]}", True


def _pictures() -> set[tuple[str, int]]:
    """Image files in the folder, by name and time of change."""
    with os.scandir(".") as entries:
        return {
            (each.name, each.stat(follow_symlinks=False).st_mtime_ns)
            for each in entries
            if each.name.lower().endswith((".png", ".jpg", ".jpeg", ".svg", ".gif"))
        }


def _save_figures(call: int, before: set[tuple[str, int]]) -> None:
    """Charts that are still open become files, as `show` has no window to open, unless the code has saved any."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    if _pictures() == before:
        for number in pyplot.get_fignums():
            pyplot.figure(number).savefig(f"figure-{call}-{number}.png")
    pyplot.close("all")
