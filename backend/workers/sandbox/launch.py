"""The command that starts a process of each layer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backend.workers.sandbox import interpreter
from backend.workers.sandbox_port import Layer, SandboxLimits

BUBBLEWRAP = "bwrap"
_SEARCHED = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin"))
_ALIASES = ("/lib", "/lib64", "/usr/lib64")
"""Folders of the loader that are links on most systems."""


class LayerMissing(Exception):
    """The system lacks what this layer needs; the text says what."""


def arguments(layer: Layer, limits: SandboxLimits, scratch: Path | None, user: int | None) -> list[str]:
    """The whole command. `scratch` is the folder on the disk, None for bubblewrap, which makes one in memory; `user` is
    what `interpreter.next_user` gave.

    Raises LayerMissing.
    """
    if layer != "bubblewrap":
        return interpreter.command(interpreter.plan(layer, limits, str(scratch), user))
    launcher = bubblewrap()
    if launcher is None:
        raise LayerMissing("bubblewrap (the program bwrap) is not installed")
    inside = interpreter.command(interpreter.plan(layer, limits, interpreter.TMPFS_SCRATCH, user))
    return [launcher, *_walls(limits, user), "--", *inside]


def bubblewrap() -> str | None:
    """The launcher, from the system's own folders only."""
    return shutil.which(BUBBLEWRAP, path=_SEARCHED)


def _walls(limits: SandboxLimits, user: int | None) -> list[str]:
    here = interpreter.places()
    out = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if user is not None:
        # Root changes to another user inside, for which it needs these two rights until then. In a user namespace of
        # bubblewrap's it would stay root outside.
        out += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        out += ["--unshare-user", "--cap-drop", "ALL"]
    out += ["--die-with-parent", "--hostname", "sandbox", "--clearenv"]
    for name, value in interpreter.ENVIRONMENT.items():
        out += ["--setenv", name, value]
    shown = (*here.folders, here.stdlib, here.executable, *here.files, *here.package_paths)
    # Made beforehand: the folders that bubblewrap makes on the way to a mount are for their owner alone.
    for folder in sorted({str(parent) for path in shown for parent in Path(path).parents} - {"/"}):
        out += ["--dir", folder]
    for path in shown:
        out += ["--ro-bind", path, path]
    for name in ("site-packages", "dist-packages"):
        installed = f"{here.stdlib}/{name}"
        # Packages that may be used lie in their own mounts; one inside this folder would be hidden with it.
        if os.path.isdir(installed) and not any(p.startswith(installed + "/") for p in here.package_paths):  # noqa: PTH112
            out += ["--tmpfs", installed, "--remount-ro", installed]
    for alias in _ALIASES:
        if Path(alias).is_symlink():
            out += ["--symlink", str(Path(alias).readlink()), alias]
    out += ["--dir", "/dev"]
    for device in interpreter.DEVICES:
        out += ["--dev-bind", device, device]
    out += ["--perms", "0777", "--size", str(limits.scratch), "--tmpfs", interpreter.TMPFS_SCRATCH]
    return [*out, "--remount-ro", "/", "--chdir", "/"]
