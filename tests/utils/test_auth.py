from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.models.errors import InvalidRequest, NotSignedIn, SettingsError
from backend.utils import auth

KEY = b"0123456789abcdef" * 4
NOW = 1_700_000_000.75


@dataclass(frozen=True)
class Somebody:
    id: str = "user-1"
    tenant: str = "default"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(claims: Any, header: Any = None, key: bytes = KEY, digest: Any = hashlib.sha256) -> str:
    """A token signed by hand, so that no library repairs what is wrong with it."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (head, claims)]
    signed = ".".join(b64(part.encode()) for part in parts)
    return f"{signed}.{b64(hmac.new(key, signed.encode(), digest).digest())}"


def claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": "hearth",
        "aud": "hearth",
        "sub": "user-1",
        "tenant": "default",
        "jti": "a" * 32,
        "use": "access",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


# ---- access tokens ------------------------------------------------------------------------------


def test_token_names_its_user_until_it_expires() -> None:
    token = auth.new_access_token(Somebody("user-7", "acme"), KEY, 24, NOW)
    read = auth.read_access_token(token, KEY, NOW + 1)
    assert (read.user_id, read.tenant, read.issued_at, read.expires_at) == ("user-7", "acme", NOW, int(NOW + 86_400))
    assert len(read.token_id) == 32


def test_auth_3_token_made_by_hand_with_all_claims_is_accepted() -> None:
    """Without this the refusals below could have any reason."""
    assert auth.read_access_token(forged(claims()), KEY, NOW).user_id == "user-1"


def test_auth_4_every_token_has_an_id_of_its_own() -> None:
    tokens = [auth.new_access_token(Somebody(), KEY, 1, NOW) for _ in range(50)]
    assert len({auth.read_access_token(token, KEY, NOW).token_id for token in tokens}) == 50


def test_auth_4_token_made_right_after_a_password_change_is_not_older_than_it() -> None:
    token = auth.new_access_token(Somebody(), KEY, 1, NOW + 0.000001)
    assert auth.read_access_token(token, KEY, NOW + 1).issued_at > NOW


WRONG_CLAIMS: dict[str, Any] = {
    **{f"without-{name}": claims(**{name: ...}) for name in claims()},
    **{f"null-{name}": claims(**{name: None}) for name in claims()},
    **{f"empty-{name}": claims(**{name: ""}) for name in claims()},
    **{f"list-{name}": claims(**{name: [claims()[name]]}) for name in claims()},
    "exp-text": claims(exp=str(int(NOW) + 60)),
    "exp-float": claims(exp=NOW + 60),
    "exp-true": claims(exp=True),
    "exp-past": claims(exp=int(NOW) - 1),
    "exp-this-second": claims(exp=int(NOW)),
    "iat-text": claims(iat=str(int(NOW))),
    "iat-true": claims(iat=True),
    "iat-far-future": claims(iat=int(NOW) + 3600),
    "iat-negative": claims(iat=-5),
    "sub-number": claims(sub=1),
    "sub-too-long": claims(sub="x" * 65),
    "iss-other": claims(iss="someone"),
    "aud-other": claims(aud="someone"),
    "aud-several": claims(aud=["hearth", "someone"]),
    "use-refresh": claims(use="refresh"),
    "nan-iat": json.dumps(claims()).replace(f'"iat": {int(NOW)}', '"iat": NaN'),
    "infinite-exp": json.dumps(claims()).replace(f'"exp": {int(NOW) + 60}', '"exp": Infinity'),
    "huge-exp-text": json.dumps(claims()).replace(f'"exp": {int(NOW) + 60}', '"exp": 1e999'),
    "claims-list": [claims()],
    "claims-text": '"text"',
    "claims-null": "null",
    "not-json": "{ not json",
    "deep": "[" * 900,
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_auth_3_well_signed_token_with_wrong_claims_is_refused(wrong: Any) -> None:
    with pytest.raises(NotSignedIn):
        auth.read_access_token(forged(wrong), KEY, NOW)


WRONG_HEADERS: dict[str, Any] = {
    "none": {"alg": "none", "typ": "JWT"},
    "None-case": {"alg": "nOnE", "typ": "JWT"},
    "lower-case": {"alg": "hs256", "typ": "JWT"},
    "hs384": {"alg": "HS384", "typ": "JWT"},
    "rs256": {"alg": "RS256", "typ": "JWT"},
    "list": {"alg": ["HS256"], "typ": "JWT"},
    "no-alg": {"typ": "JWT"},
    "crit": {"alg": "HS256", "typ": "JWT", "crit": ["exp"]},
    "crit-unknown": {"alg": "HS256", "typ": "JWT", "crit": ["x"], "x": 1},
    "crit-empty": {"alg": "HS256", "typ": "JWT", "crit": []},
    "other-typ": {"alg": "HS256", "typ": "at+jwt"},
    "not-an-object": ["HS256"],
    "not-json": "{ not json",
    "deep": "[" * 900,
}


@pytest.mark.parametrize("header", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
@pytest.mark.parametrize("digest", [hashlib.sha256, hashlib.sha384], ids=["sha256", "sha384"])
def test_auth_3_header_that_is_not_exactly_hs256_is_refused(header: Any, digest: Any) -> None:
    with pytest.raises(NotSignedIn):
        auth.read_access_token(forged(claims(), header, digest=digest), KEY, NOW)


def test_auth_3_token_without_signature_is_refused() -> None:
    head, body, _ = forged(claims()).split(".")
    none = b64(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    for token in (f"{head}.{body}.", f"{head}.{body}", f"{none}.{body}.", f"{none}.{body}"):
        with pytest.raises(NotSignedIn):
            auth.read_access_token(token, KEY, NOW)


def test_auth_3_token_signed_with_another_key_is_refused() -> None:
    for other in (b"x" * 64, KEY[:-1], KEY + b"\n", b""):
        with pytest.raises(NotSignedIn):
            auth.read_access_token(forged(claims(), key=other), KEY, NOW)


def test_auth_3_only_one_spelling_of_a_signature_is_accepted() -> None:
    """The last of 43 characters has two bits that decode to nothing: three others mean the same signature."""
    token = auth.new_access_token(Somebody(), KEY, 1, NOW)
    signature = base64.urlsafe_b64decode(token.rpartition(".")[2] + "=")
    alphabet = string.ascii_letters + string.digits + "-_"
    same = [
        token[:-1] + last
        for last in alphabet
        if base64.urlsafe_b64decode((token[:-1] + last).rpartition(".")[2] + "=") == signature
    ]
    assert len(same) == 4 and token in same
    for other in same:
        if other != token:
            with pytest.raises(NotSignedIn):
                auth.read_access_token(other, KEY, NOW)


def test_auth_3_every_changed_character_is_noticed() -> None:
    token = auth.new_access_token(Somebody(), KEY, 1, NOW)
    for place in range(len(token)):
        for other in "AQgw_-.=":
            if token[place] != other:
                with pytest.raises(NotSignedIn):
                    auth.read_access_token(token[:place] + other + token[place + 1 :], KEY, NOW)


ODD_TEXTS = [
    "",
    ".",
    "..",
    "...",
    "a.b.c",
    "a.b",
    "a.b.c.d",
    " ",
    "é.é.é",
    "\ud800",
    "a\x00.b.c",
    "=.=.=",
    "sk-abc",
    "null",
]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_auth_3_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(NotSignedIn):
        auth.read_access_token(text, KEY, NOW)


@pytest.mark.parametrize("decorate", [" {}", "{} ", "{}\n", "{}=", "{}==", "{}.", ".{}"], ids=repr)
def test_auth_3_decorated_token_is_refused(decorate: str) -> None:
    with pytest.raises(NotSignedIn):
        auth.read_access_token(decorate.format(forged(claims())), KEY, NOW)


def test_auth_3_token_over_4_kib_is_refused_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    fits, large = forged(claims(pad="x" * 2600)), forged(claims(pad="x" * 3000))
    assert len(fits) <= 4096 < len(large)
    auth.read_access_token(fits, KEY, NOW)

    def parsed(*_: Any, **__: Any) -> Any:
        raise AssertionError("parsed")

    monkeypatch.setattr(json, "loads", parsed)
    monkeypatch.setattr(base64, "urlsafe_b64decode", parsed)
    with pytest.raises(NotSignedIn):
        auth.read_access_token(large, KEY, NOW)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_auth_3_any_text_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(NotSignedIn):
        auth.read_access_token(text, KEY, NOW)


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 31], ids=len)
def test_auth_1_short_signing_key_is_an_error_of_the_settings(key: bytes) -> None:
    with pytest.raises(SettingsError):
        auth.new_access_token(Somebody(), key, 1, NOW)
    with pytest.raises(SettingsError):
        auth.read_access_token(forged(claims(), key=key), key, NOW)


@pytest.mark.parametrize(
    "key",
    [b'"' + b"a1b2c3d4" * 5 + b'"', b"1" * 64, b'{"kty":"oct","k":"' + b"QUFB" * 8 + b'"}', b"[" + b"1," * 20 + b"1]"],
)
def test_auth_3_key_that_looks_like_json_is_taken_as_it_is(key: bytes) -> None:
    token = auth.new_access_token(Somebody(), key, 1, NOW)
    assert token.split(".")[2] == b64(hmac.new(key, token.rpartition(".")[0].encode(), hashlib.sha256).digest())
    assert auth.read_access_token(token, key, NOW).user_id == "user-1"


# ---- passwords ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_auth_7_password_is_hashed_with_cost_12_and_verified() -> None:
    hashed = auth.hash_password("correct horse battery")
    assert hashed.startswith("$2b$12$") and "correct" not in hashed
    assert auth.verify_password("correct horse battery", hashed)
    assert not auth.verify_password("correct horse batterx", hashed)


@pytest.mark.slow
def test_auth_7_bytes_beyond_72_and_after_nul_count() -> None:
    for common in ("x" * 100, "x" * 10 + "\x00"):
        hashed = auth.hash_password(common + "one")
        assert auth.verify_password(common + "one", hashed)
        assert not auth.verify_password(common + "two", hashed)


@pytest.mark.slow
def test_auth_7_composed_and_decomposed_spelling_are_one_password() -> None:
    composed = unicodedata.normalize("NFC", "pässwörter-é")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert auth.verify_password(decomposed, auth.hash_password(composed))


@pytest.mark.parametrize(
    "malformed", ["", "x", "$2b$", "$2b$12$short", "plain text", "é", "\x00", "$2b$99$" + "a" * 53]
)
def test_auth_7_malformed_hash_verifies_nothing(malformed: str) -> None:
    assert auth.verify_password("correct horse battery", malformed) is False


def test_auth_7_password_with_a_lone_surrogate_is_only_wrong() -> None:
    assert auth.verify_password("\ud800" * 12, auth.DUMMY_HASH) is False


def test_auth_8_dummy_hash_costs_as_much_as_a_real_one() -> None:
    assert auth.DUMMY_HASH.startswith(f"$2b${auth.BCRYPT_ROUNDS}$") and len(auth.DUMMY_HASH) == 60
    assert not auth.verify_password("", auth.DUMMY_HASH)


@pytest.mark.parametrize(
    "password, fine", [("", False), ("x" * 9, False), ("x" * 10, True), ("é" * 9, False), ("x" * 5000, True)]
)
def test_auth_7_password_needs_ten_characters(password: str, fine: bool) -> None:
    if fine:
        auth.check_password_rules(password)
    else:
        with pytest.raises(InvalidRequest):
            auth.check_password_rules(password)


def test_auth_7_nine_characters_do_not_become_ten_by_decomposing_them() -> None:
    with pytest.raises(InvalidRequest):
        auth.check_password_rules(unicodedata.normalize("NFD", "é" * 9))


def test_auth_2_made_password_has_100_random_bits_and_passes_the_rules() -> None:
    made = {auth.new_password() for _ in range(100)}
    assert len(made) == 100 and all(len(password) >= 20 for password in made)
    for password in made:
        auth.check_password_rules(password)


# ---- keys ---------------------------------------------------------------------------------------


def test_auth_6_api_key_has_160_random_bits_beyond_its_prefix() -> None:
    keys = [auth.new_api_key() for _ in range(200)]
    assert len({made.key for made in keys}) == 200
    for key, key_hash, prefix in keys:
        assert key.startswith("sk-") and prefix == key[:10]
        assert (len(key) - len(prefix)) * 4 >= 160 and int(key.removeprefix("sk-"), 16) >= 0
        assert key_hash == auth.hash_key(key) == hashlib.sha256(key.encode()).hexdigest()
        assert key not in key_hash


def test_auth_5_refresh_token_is_no_access_token_and_stored_hashed() -> None:
    token, token_hash = auth.new_refresh_token()
    assert token_hash == auth.hash_refresh_token(token) and token not in token_hash
    with pytest.raises(NotSignedIn):
        auth.read_access_token(token, KEY, NOW)


@pytest.mark.parametrize("text", ["", "\ud800", "sk-é", "x" * 100_000], ids=["empty", "surrogate", "accent", "long"])
def test_auth_6_any_text_can_be_hashed(text: str) -> None:
    assert len(auth.hash_key(text)) == 64


def test_importing_auth_loads_neither_jose_nor_bcrypt() -> None:
    code = "import sys, backend.utils.auth; print([m for m in ('jose', 'bcrypt') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
