"""OLLAMA_HOST in all the forms people write it."""

import pytest

from backend.llm.ollama_address import base_url, base_urls
from backend.models.errors import SettingsError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:9000", "http://gpu-box:9000"),
        (":56789", "http://127.0.0.1:56789"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("https://ollama.example.org", "https://ollama.example.org:443"),
        ("HTTP://gpu-box:1234", "http://gpu-box:1234"),
        ("  http://127.0.0.1:11434/  ", "http://127.0.0.1:11434"),
        ('"http://127.0.0.1:11434"', "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("[::]:11434", "http://127.0.0.1:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("localhost:11434", "http://localhost:11434"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434/api/", "http://127.0.0.1:11434"),
        ("https://example.org/ollama/v1/", "https://example.org:443/ollama"),
    ],
)
def test_address_is_normalised(written, meant):
    assert base_url(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "ftp://gpu-box",
        "localhost:abc",
        "gpu-box:99999",
        "gpu-box:0",
        "a b",
        "http://x?y=1",
        "http://me:secret@gpu-box",
        "http://gpu\\box",
        "http://[::1",
        "http://a\nb",
    ],
)
def test_bad_address_stops_the_start(written):
    with pytest.raises(SettingsError, match="OLLAMA_HOST"):
        base_url(written)


def test_several_addresses_keep_their_order_and_lose_their_doubles():
    assert base_urls(["b", "a:1", "http://b:11434"]) == ("http://b:11434", "http://a:1")


def test_no_address_means_the_default():
    assert base_urls([]) == ("http://127.0.0.1:11434",)
