"""The signing key: from the settings, or a file in the data folder that the first start makes."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from backend.models.errors import SettingsError

if TYPE_CHECKING:
    from backend.config.settings import Settings

KEY_FILE = "secret_key"
MIN_KEY_BYTES = 32
_MAX_KEY_BYTES = 4096


def signing_key(settings: Settings) -> bytes:
    """The key that signs access tokens, at least 32 bytes; made (256 random bits, mode 0600) when there is none.

    Processes that start at the same time end up with the same key.

    Raises:
        SettingsError: the file cannot be made or read, or holds too little.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.data_dir / KEY_FILE
    try:
        try:
            return _read(path)
        except FileNotFoundError:
            _create(path)
            return _read(path)
    except OSError as error:
        raise SettingsError(
            f"The signing key in {settings.data_dir} could not be made or read: {error.strerror}."
            " Make DATA_DIR readable and writable for this user, or set SECRET_KEY."
        ) from None


def _create(path: Path) -> None:
    """Link a finished file into place: whoever comes first wins, and nobody ever sees half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(MIN_KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise  # about the folder, not the file
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be opened") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _unusable(path, "it is not a file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            with contextlib.suppress(PermissionError):
                os.fchmod(file.fileno(), 0o600)
        key = file.read(_MAX_KEY_BYTES).strip()
    if len(key) < MIN_KEY_BYTES:
        raise _unusable(path, f"it holds {len(key)} bytes and at least {MIN_KEY_BYTES} are needed")
    return key


def _unusable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"The signing key in {path} cannot be used: {why}. Remove the file and a new key is made"
        " (everybody signs in again), or set SECRET_KEY."
    )
