"""What the process inside is: the interpreter, the paths it may read, and its program as an argument.

Nothing of the application lies within those paths: the program comes on the command line, compiled.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import marshal
import os
import secrets
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.workers.sandbox import landlock
from backend.workers.sandbox_port import Layer, SandboxLimits

USERS = range(60_706, 61_184)
"""User ids for the processes of a server that runs as root, one each: a range that systems leave free.
Source: systemd, docs/UIDS-GIDS."""
TMPFS_SCRATCH = "/scratch"
ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC"}
"""All that the processes get to see, the launcher included."""
INSIDE = {
    "HOME": ".",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": ".matplotlib",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
"""What the program adds for the libraries: no window, no folder of settings, no pool of threads."""
LAUNCHERS = 4
"""Processes of ours that count among those of the user."""

OFFERED: dict[str, tuple[str, ...]] = {
    "numpy": ("numpy", "numpy.libs"),
    "pandas": ("pandas", "pandas.libs", "dateutil", "pytz", "tzdata", "six"),
    "matplotlib": (
        "matplotlib",
        "matplotlib.libs",
        "mpl_toolkits",
        "contourpy",
        "contourpy.libs",
        "cycler",
        "dateutil",
        "fontTools",
        "kiwisolver",
        "packaging",
        "PIL",
        "pillow.libs",
        "pyparsing",
        "six",
    ),
}
"""Packages that code may import where they are installed, with the folders and modules that each needs."""

_MODULES = ("landlock", "seccomp", "lockdown", "inside")
"""The program, in the order in which its parts need one another."""
_START = (
    "import sys,types,marshal,base64\n"
    "for name,code in marshal.loads(base64.b64decode(sys.argv[1])):\n"
    "    module=types.ModuleType(name);sys.modules[name]=module;parent,_,last=name.rpartition('.')\n"
    "    sys.modules.setdefault(parent,types.ModuleType(parent));setattr(sys.modules[parent],last,module)\n"
    "    exec(code,module.__dict__)\n"
    "for name in [name for name in sys.modules if name.partition('.')[0]=='backend']:del sys.modules[name]\n"
    "module.main(sys.argv[2])\n"
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the interpreter and its libraries lie on this machine; all absolute, links resolved."""

    executable: str
    folders: tuple[str, ...]
    """Wholly readable."""
    stdlib: str
    """Readable but for the packages installed within it."""
    files: tuple[str, ...]
    packages: dict[str, str]
    """Importable extra packages: name to folder or file."""
    package_paths: tuple[str, ...]
    closed: bool
    """Whether only its owner can reach the interpreter, as with one in root's home."""

    @property
    def stdlib_entries(self) -> tuple[str, ...]:
        """What is in the standard library's folder, without folders of installed packages."""
        return _entries(self.stdlib)


@functools.cache
def places() -> Places:
    """Looked up once per process."""
    # The base interpreter: the one of a virtual environment lies among the application's files.
    executable = Path(getattr(sys, "_base_executable", sys.executable) or sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    base = Path(sys.base_prefix).resolve()
    folders = [path for path in _library_folders() if path.is_dir()]
    zone_info = Path("/usr/share/zoneinfo")
    folders += [zone_info.resolve()] if zone_info.is_dir() else []
    files = [Path("/etc/ld.so.cache"), *sorted(base.glob("lib/libpython*.so*")), *sorted(base.glob("lib64/libpython*"))]
    packages, package_paths = _packages()
    return Places(
        executable=str(executable),
        folders=tuple(dict.fromkeys(str(path) for path in folders)),
        stdlib=str(stdlib),
        files=tuple(str(path) for path in files if path.is_file()),
        packages=packages,
        package_paths=package_paths,
        closed=not all(_open_to_all(path) for path in (executable, stdlib, *map(Path, package_paths))),
    )


def offered() -> tuple[str, ...]:
    """The extra packages that are installed here, by name."""
    return tuple(name for name in OFFERED if name in places().packages)


def _library_folders() -> list[Path]:
    """Where the loader finds the system's shared libraries: its folders for this architecture, or the common ones."""
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    own = [Path(root) / triplet for root in ("/lib", "/usr/lib")] if triplet else []
    if not any(path.is_dir() for path in own):
        own = [Path("/lib"), Path("/usr/lib")]
    return [path.resolve() for path in (*own, Path("/lib64"), Path("/usr/lib64"))]


@functools.lru_cache(maxsize=4)
def _entries(stdlib: str) -> tuple[str, ...]:
    left_out = ("site-packages", "dist-packages", "test", "idlelib", "ensurepip")
    return tuple(sorted(str(path) for path in Path(stdlib).iterdir() if path.name not in left_out))


def _packages() -> tuple[dict[str, str], tuple[str, ...]]:
    modules: dict[str, str] = {}
    paths: dict[str, None] = {}
    for name, parts in OFFERED.items():
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        site = Path(found.origin).resolve().parent.parent
        for part in parts:
            for path in (site / part, site / f"{part}.py"):
                if path.exists():
                    paths[str(path)] = None
                    if not part.endswith(".libs"):
                        modules[part] = str(path)
    return modules, tuple(paths)


def _open_to_all(path: Path) -> bool:
    try:
        return all(each.stat().st_mode & 0o001 for each in (*path.parents, path))
    except OSError:
        return False


def next_user() -> int | None:
    """The user that the next process becomes, hardly ever one that another has now; None unless we are root."""
    return secrets.choice(USERS) if os.geteuid() == 0 else None


def plan(layer: Layer, limits: SandboxLimits, scratch: str, user: int | None) -> dict[str, Any]:
    """What `lockdown` and `inside` are told. `scratch` is the only folder that can be written."""
    here = places()
    root = user is not None
    keep_read = root and here.closed and layer != "bubblewrap"
    # A user of its own, or a user namespace, counts only what belongs to the process; else the server watches.
    processes = limits.threads + LAUNCHERS if root or layer != "landlock" else 0
    return {
        "scratch": scratch,
        "uid": user,
        "namespaces": layer == "unshare",
        "keep_read": keep_read,
        "rules": _rules(here, scratch),
        "packages": here.packages,
        "environment": {**ENVIRONMENT, **INSIDE},
        "limits": {**asdict(limits), "processes": processes},
    }


def _rules(here: Places, scratch: str) -> list[tuple[str, int]]:
    readable = [*here.folders, *here.package_paths, *here.stdlib_entries]
    return [
        *((path, landlock.READ) for path in readable),
        *((path, landlock.READ_FILE) for path in (here.executable, *here.files)),
        (here.stdlib, landlock.READ_DIR),
        *((path, landlock.DEVICE) for path in DEVICES),
        (scratch, landlock.SCRATCH),
    ]


def command(plan_: dict[str, Any]) -> list[str]:
    """The interpreter with the program and its plan: isolated, without site, without writing compiled files."""
    return [places().executable, "-I", "-S", "-B", "-X", "utf8", "-c", _START, _program(), json.dumps(plan_)]


@functools.cache
def _program() -> str:
    """The program compiled, without comments, docstrings and assertions, as text that an argument can hold."""
    package = __package__
    parts = []
    for name in _MODULES:
        source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        parts.append((f"{package}.{name}", compile(source, f"<{name}>", "exec", dont_inherit=True, optimize=2)))
    return base64.b64encode(marshal.dumps(parts)).decode()
