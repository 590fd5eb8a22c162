"""What users have chosen: `{owner}/preferences.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.models.run import Owner
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import Unreadable, read_file, write_atomic
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.paths import Area
from backend.storage.preference_store import Preferences

NAME = "preferences"
SUFFIX = ".json"
VERSION = 1


class JsonPreferenceStore:
    """PreferenceStore over one small file a user."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages

    async def get(self, owner: Owner) -> Preferences:
        return await self._disk.run(self._read, self._area.file(owner, NAME, SUFFIX))

    async def put(self, owner: Owner, preferences: Preferences) -> None:
        path = self._area.file(owner, NAME, SUFFIX)
        data = {"version": VERSION, "disabled_tools": sorted(preferences.disabled_tools)}
        await self._disk.run(write_atomic, path, encode_json(data) + b"\n")

    def _read(self, path: Path) -> Preferences:
        """The defaults when there is no file; a damaged one is set aside."""
        try:
            value: Any = decode_json(read_file(path))
            names = value["disabled_tools"]
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise Unreadable("not our form")
            return Preferences(frozenset(names))
        except FileNotFoundError:
            return Preferences()
        except (Unreadable, ValueError, TypeError, KeyError, RecursionError) as reason:
            self._damages.set_aside(path, f"a user's choices could not be read ({type(reason).__name__})")
            return Preferences()
