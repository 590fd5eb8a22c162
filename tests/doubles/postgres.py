"""A real PostgreSQL server of its own on loopback, in a folder that goes away with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

ROOT = Path("/usr/lib/postgresql")
START_SECONDS = 60.0


def newest_binaries() -> Path | None:
    """The folder of the newest installed server's programs; None where none is installed."""
    found = [folder / "bin" for folder in ROOT.glob("*") if (folder / "bin" / "initdb").is_file()]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


class PostgresServer:
    """Runs as the user `postgres` when the tests run as root, which PostgreSQL refuses to be."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}:secret-word@127.0.0.1:{self.port}/{database}"

    def sql(self, statements: str) -> None:
        """Run statements as the superuser."""
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statements)

    def value(self, statement: str) -> object:
        """The first value of a statement's result, as the superuser."""
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            row = connection.execute(statement).fetchone()
            return row[0] if row else None

    def __enter__(self) -> PostgresServer:
        data = self.folder / "data"
        self._command("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        options = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self._process = subprocess.Popen(
            [*self._as_user(), str(self._binaries / "postgres"), "-D", str(data), *options],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while self._command("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), check=False) != 0:
            assert time.monotonic() < deadline and self._process.poll() is None, "PostgreSQL did not start"
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            data = str(self.folder / "data")
            self._command("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", check=False)
            self._process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> list[str]:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []

    def _command(self, name: str, *arguments: str, check: bool = True) -> int:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        done = subprocess.run(
            [*self._as_user(), str(self._binaries / name), *arguments], cwd="/", capture_output=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.returncode
