from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from backend.config.secrets_file import signing_key
from backend.config.settings import Settings
from backend.models.errors import SettingsError

PROJECT = Path(__file__).resolve().parents[2]


def settings_for(data_dir: Path, secret: str | None = None) -> Settings:
    return Settings(data_dir=data_dir, secret_key=None if secret is None else SecretStr(secret), _env_file=None)


def test_auth_1_first_start_makes_a_key_of_256_bits_that_only_this_user_can_read(tmp_path: Path) -> None:
    key = signing_key(settings_for(tmp_path / "data"))
    file = tmp_path / "data" / "secret_key"
    assert len(bytes.fromhex(key.decode())) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


def test_auth_1_later_starts_use_the_same_key_and_other_folders_another(tmp_path: Path) -> None:
    first = signing_key(settings_for(tmp_path / "a"))
    assert signing_key(settings_for(tmp_path / "a")) == first
    assert signing_key(settings_for(tmp_path / "b")) != first


def test_auth_1_setting_goes_before_the_file(tmp_path: Path) -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    assert signing_key(settings_for(tmp_path / "data", secret)) == secret.encode()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"x" * 31], ids=["empty", "blank", "short", "31-bytes"])
def test_auth_1_key_file_that_holds_too_little_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)
    with pytest.raises(SettingsError, match="Remove the file") as error:
        signing_key(settings_for(tmp_path))
    assert "\n" not in error.value.message
    assert (tmp_path / "secret_key").read_bytes() == content


def test_auth_1_folder_or_link_in_place_of_the_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "one" / "secret_key").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "elsewhere").write_text("x" * 64)
    (tmp_path / "two" / "secret_key").symlink_to(tmp_path / "elsewhere")
    for name in ("one", "two"):
        with pytest.raises(SettingsError):
            signing_key(settings_for(tmp_path / name))


def test_data_dir_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(SettingsError, match="DATA_DIR"):
        signing_key(settings_for(tmp_path / "data"))


def test_fs_2_key_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "secret_key"
    file.write_text("k" * 40)
    file.chmod(0o644)
    assert signing_key(settings_for(tmp_path)) == b"k" * 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.slow
def test_auth_1_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backend.config.secrets_file import signing_key;"
        "from backend.config.settings import Settings; sys.stdin.read(1);"
        "print(signing_key(Settings(data_dir=Path(sys.argv[1]), _env_file=None)).decode())"
    )
    for number in range(2):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path / f"data{number}")],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("x")
            process.stdin.flush()
        keys = {process.communicate()[0].strip() for process in processes}
        assert len(keys) == 1 and len(keys.pop()) == 64
        assert [path.name for path in (tmp_path / f"data{number}").iterdir()] == ["secret_key"]
