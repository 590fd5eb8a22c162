"""Passwords, API keys and tokens: pure functions; the one place that touches bcrypt and python-jose."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from backend.models.errors import InvalidRequest, NotSignedIn, SettingsError

ALGORITHM = "HS256"
ISSUER = "hearth"
AUDIENCE = "hearth"
ACCESS_USE = "access"
BCRYPT_ROUNDS = 12
MIN_PASSWORD_CHARACTERS = 10
MIN_KEY_BYTES = 32
MAX_TOKEN_BYTES = 4096
MAX_CLOCK_SKEW_S = 300
KEY_PREFIX = "sk-"
KEY_PREFIX_LENGTH = 10

DUMMY_HASH = "$2b$12$jJT0hmee8SFBlX0KOXdxHuK9ACqBDPbB8SPLNgYJNqdAxQrL05awi"
"""Of 32 random bytes that were thrown away: checking against it costs an unknown user what a known one costs."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_REFUSED = "The access token is not valid; sign in again."
_EXPIRED = "The access token has expired; sign in again."


class Identity(Protocol):
    """The part of a user that a token names."""

    @property
    def id(self) -> str: ...

    @property
    def tenant(self) -> str: ...


class NewApiKey(NamedTuple):
    """`key` is shown once; `key_hash` and `prefix` are what is kept."""

    key: str
    key_hash: str
    prefix: str


class NewRefreshToken(NamedTuple):
    """`token` goes to the client; `token_hash` is what is kept."""

    token: str
    token_hash: str


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says. Times are seconds since the epoch; `issued_at` keeps its fraction, so that a
    token made right after `tokens_valid_from` is not older than it.
    """

    user_id: str
    tenant: str
    token_id: str
    issued_at: float
    expires_at: int


# ---- passwords ----------------------------------------------------------------------------------


def check_password_rules(password: str) -> None:
    """Raises InvalidRequest when a new password has fewer than 10 characters (after NFC)."""
    if len(unicodedata.normalize("NFC", password)) < MIN_PASSWORD_CHARACTERS:
        raise InvalidRequest(
            f"A password needs at least {MIN_PASSWORD_CHARACTERS} characters; choose a longer one.", param="password"
        )


def hash_password(password: str) -> str:
    """bcrypt, cost 12, of the pre-hashed password. About 0.3 s of CPU: call it in a thread."""
    import bcrypt

    return bcrypt.hashpw(_prehashed(password), bcrypt.gensalt(BCRYPT_ROUNDS)).decode("ascii")


def verify_password(password: str, password_hash: str) -> bool:
    """Whether a password fits; False as well for a malformed hash. About 0.3 s of CPU: call it in a thread.

    For an unknown user check against DUMMY_HASH and refuse whatever comes out.
    """
    import bcrypt

    try:
        return bcrypt.checkpw(_prehashed(password), password_hash.encode("ascii"))
    except ValueError:
        return False


def new_password() -> str:
    """A password for an account that the server makes itself: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


def _prehashed(password: str) -> bytes:
    """44 bytes for any password: bcrypt itself refuses more than 72 bytes and stops at NUL."""
    normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha256(normal).digest())


# ---- API keys and refresh tokens ----------------------------------------------------------------


def new_api_key() -> NewApiKey:
    """A key of 192 random bits, `sk-` and 48 hex digits; `prefix` is its first 10 characters."""
    key = KEY_PREFIX + secrets.token_hex(24)
    return NewApiKey(key, hash_key(key), key[:KEY_PREFIX_LENGTH])


def hash_key(key: str) -> str:
    """SHA-256 hex of a whole API key; a fast hash is right for text of 160 random bits and more."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_refresh_token() -> NewRefreshToken:
    """A token of 256 random bits, `rt-` and 64 hex digits."""
    token = "rt-" + secrets.token_hex(32)
    return NewRefreshToken(token, hash_refresh_token(token))


def hash_refresh_token(token: str) -> str:
    """SHA-256 hex of a whole refresh token."""
    return hash_key(token)


# ---- access tokens ------------------------------------------------------------------------------


def new_access_token(user: Identity, key: bytes, hours: float, now: float) -> str:
    """A signed JWT for one user, valid for `hours` from `now` (seconds since the epoch).

    Raises:
        SettingsError: the signing key has fewer than 32 bytes.
    """
    from jose import jwt

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user.id,
        "tenant": user.tenant,
        "jti": secrets.token_hex(16),
        "use": ACCESS_USE,
        "iat": now,
        "exp": int(now + hours * 3600),
    }
    token: str = jwt.encode(claims, _hmac_key(key), algorithm=ALGORITHM)
    return token


def read_access_token(token: str, key: bytes, now: float) -> AccessClaims:
    """The claims of a token that this server signed and that has not expired at `now`.

    The library alone accepts tokens without `exp`, unknown `crit` headers and sloppy base64, so everything but the
    signature is checked here.

    Raises:
        NotSignedIn: anything at all is wrong with the token.
        SettingsError: the signing key has fewer than 32 bytes.
    """
    from jose import JOSEError, jws

    secret = _hmac_key(key)
    _check_envelope(token)
    try:
        claims = json.loads(jws.verify(token, secret, algorithms=[ALGORITHM]))
    except (JOSEError, ValueError, TypeError, RecursionError):
        raise NotSignedIn(_REFUSED) from None
    return _checked_claims(claims, now)


def _hmac_key(key: bytes) -> Any:
    """As a key object: given plain bytes the library would first try to read them as JSON."""
    from jose import jwk

    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"The signing key needs at least {MIN_KEY_BYTES} bytes; set another SECRET_KEY.")
    return jwk.construct(key, ALGORITHM)


def _check_envelope(token: str) -> None:
    """Size, form, canonical base64 and header, before the library sees the token."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise NotSignedIn(_REFUSED)
    segments = token.split(".")
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise NotSignedIn(_REFUSED)
    try:
        header_bytes, *_ = [_canonical(segment) for segment in segments]
        header = json.loads(header_bytes)
    except (ValueError, RecursionError):
        raise NotSignedIn(_REFUSED) from None
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM or "crit" in header:
        raise NotSignedIn(_REFUSED)
    if header.get("typ", "JWT") != "JWT":
        raise NotSignedIn(_REFUSED)


def _canonical(segment: str) -> bytes:
    """Decode base64url, refusing every spelling but the one an encoder makes."""
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != segment:
        raise binascii.Error("not canonical")
    return data


def _checked_claims(claims: Any, now: float) -> AccessClaims:
    if not isinstance(claims, dict):
        raise NotSignedIn(_REFUSED)
    texts = [claims.get(name) for name in ("sub", "jti", "tenant")]
    if not all(isinstance(text, str) and 0 < len(text) <= 64 for text in texts):
        raise NotSignedIn(_REFUSED)
    if not (_equal(claims.get("iss"), ISSUER) and _equal(claims.get("aud"), AUDIENCE)):
        raise NotSignedIn(_REFUSED)
    if not _equal(claims.get("use"), ACCESS_USE):
        raise NotSignedIn(_REFUSED)
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(expires_at, int) or not isinstance(issued_at, int | float):
        raise NotSignedIn(_REFUSED)
    if isinstance(expires_at, bool) or isinstance(issued_at, bool):
        raise NotSignedIn(_REFUSED)
    # Written so that NaN is refused too.
    if not (0 <= issued_at <= now + MAX_CLOCK_SKEW_S):
        raise NotSignedIn(_REFUSED)
    if expires_at <= now:
        raise NotSignedIn(_EXPIRED)
    return AccessClaims(claims["sub"], claims["tenant"], claims["jti"], float(issued_at), expires_at)


def _equal(given: Any, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
