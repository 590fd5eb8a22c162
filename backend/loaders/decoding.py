"""Bytes as text, whatever encoding they are in."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from backend.loaders.port import LoadRefused

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_MARKS = (
    b"%PDF-",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"MZ",
    b"\x7fELF",
    b"\x1f\x8b",
    b"SQLite",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"BZh9",
    b"OggS",
    b"ID3",
    b"RIFF",
    b"\x00asm",
    b"\xca\xfe\xba\xbe",
)
MAX_TEXT_CHARS = 5 * 1_048_576
MAX_BYTES = 4 * MAX_TEXT_CHARS + 4
"""More bytes than these are more characters than a document may hold, in any encoding."""
TOO_LONG = "The document holds more than 5 MiB of text: split it."
NOT_TEXT = "The file is not text: it holds binary data."
SAMPLE_BYTES = 16_384
LEGACY = (
    "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "iso8859_2",
    "iso8859_5", "iso8859_7", "cp874", "cp932", "gb18030", "big5", "cp949", "euc_jp",
)  # fmt: skip
"""What is written with byte values above 127 and is not UTF-8, on the systems where people keep old files."""
SINGLE_BYTE = ("cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "iso8859_5", "iso8859_7")
"""Those with a byte for each letter and no Latin letters beyond ASCII."""
CERTAIN_BYTES = 24
"""With fewer letters beyond ASCII, western Europe is the better guess than what a count of letters says."""
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x00"))
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"
_HIGH = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")
_LATIN = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257")
_LETTERS = re.compile(rb"[\xe0-\xff]")
"""The small letters of Cyrillic, Greek and Hebrew; in the encodings of Chinese they are no more common than others."""
_ALONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_LEADS = re.compile(rb"[\x81-\x83\x86-\x89\x8b\x8d\x8f\x90\x98\x9b\x9d]")
"""Bytes that are rare signs or nothing in Latin encodings, and begin a character in Japanese ones."""
_SIGNS_IN_WORDS = re.compile(rb"[A-Za-z][\xb3\xbf\xb9\xb1][a-z]|[\xa3\xaf][a-z\xf3][a-z]")
"""Signs such as a raised 3 inside a word: they are the Polish letters of another encoding."""
_POLISH_ISO = re.compile(rb"[a-z][\xb1\xb6\xbc]|\xb6[a-z]")
_WESTERN_ONLY = re.compile(
    rb"[\xa5\xaa\xaf\xb9\xba\xbc\xbe\xc0\xc3\xc5\xc6\xc8\xca\xcc\xcf\xd0\xd2\xd5\xd8-\xdb\xde"
    rb"\xe0\xe3\xe5\xe6\xe8\xea\xec\xef\xf0\xf2\xf5\xf8-\xfb\xfe\x8c\x8d\x8e\x9a\x9c-\x9f]"
)
"""Bytes that differ between west and centre, but for those of Spanish; without any, western it is."""
_TURKISH = re.compile(rb"[\xdd\xde\xf0\xfe]")
_TURKISH_TOO = re.compile(rb"[\xe7\xfc]")
_ICELANDIC = re.compile(rb"[\xe1\xe6\xed]")
_CZECH_ISO = re.compile(rb"[a-z\xe0-\xff][\xb9\xbe\xbb]|[\xb9\xbe][a-z\xe0-\xff]|\xa9[a-z]")
_CZECH = re.compile(rb"\xf8")
_CZECH_TOO = re.compile(rb"[\x9a\x9e\xe8\xec\xf9\xfd\xb9\xbe]")
_C1 = re.compile(rb"[\x80-\x9f]")
_ISO_2022_JP = (b"\x1b$B", b"\x1b$@", b"\x1b(J")


def read_text(path: Path) -> str:
    """A whole file as text. Raises LoadRefused for what is no text, and for more text than a document may hold."""
    if path.stat().st_size > MAX_BYTES:
        raise LoadRefused(TOO_LONG)
    text = decode(path.read_bytes())
    if len(text) > MAX_TEXT_CHARS:
        raise LoadRefused(TOO_LONG)
    return text


def decode(raw: bytes, declared: str | None = None) -> str:
    """Text out of bytes: by byte-order mark, else by its zeros UTF-16 or UTF-32, else UTF-8, else the encoding that
    `declared` names, else the one that the bytes look like.

    Raises LoadRefused for what is no text.
    """
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    if b"\x00" in raw:
        wide = _wide(raw)
        if wide is not None:
            return raw.decode(wide, "replace")
        if raw.count(0) > len(raw) // 100 + 1:
            raise LoadRefused(NOT_TEXT)
        raw = raw.replace(b"\x00", b" ")
    if any(mark in raw for mark in _ISO_2022_JP):
        return raw.decode("iso2022_jp_2", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(declared or _legacy(raw), "replace")


def _wide(raw: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: nearly all zeros stand at the same place of each unit, and many of them."""
    sample = raw[: 65_536 - 65_536 % 4]
    quarters = [sample[n::4].count(0) for n in range(4)]
    length = max(len(sample) // 4, 1)
    if min(quarters[1:]) > length * 9 // 10 and not raw[0:4].startswith(b"\x00"):
        return "utf-32-le" if quarters[3] >= length else None
    if min(quarters[:2]) > length * 9 // 10 and quarters[3] * 10 < length:
        return "utf-32-be"
    if quarters[3] >= length and quarters[2] * 10 > length * 9:
        return "utf-32-le"
    even, odd = quarters[0] + quarters[2], quarters[1] + quarters[3]
    # Latin letters are every second byte a zero; of a text in Chinese only blanks and line ends are.
    if max(even, odd) <= min(even, odd) * 10:
        return None
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    if max(even, odd) > len(sample) // 5:
        return encoding
    if len(sample.translate(None, _PRINTABLE)) * 10 < len(sample):
        return None
    try:
        text = sample[: len(sample) - len(sample) % 2].decode(encoding, "strict")
    except UnicodeDecodeError:
        return None
    return encoding if sum(c.isalnum() or c.isspace() for c in text) * 10 > len(text) * 7 else None


def _legacy(raw: bytes) -> str:
    """The encoding from before Unicode that a sample of the lines with letters beyond ASCII looks like."""
    from charset_normalizer import from_bytes

    sample = bytearray()
    for found in _HIGH.finditer(raw):
        sample += found[0][: SAMPLE_BYTES // 4]
        if len(sample) >= SAMPLE_BYTES:
            break
    seen = bytes(sample[:SAMPLE_BYTES])
    high = seen.translate(None, bytes(range(128)))
    if _is_latin(seen, high):
        candidates: tuple[str, ...] = _LATIN
        is_short = len(high) < CERTAIN_BYTES and not (_CZECH.search(high) and _CZECH_TOO.search(high))
        certain = _latin(seen) or ("cp1252" if is_short else None)
        if certain is not None:
            return certain
    elif len(_LETTERS.findall(high)) * 5 >= len(high) * 4:
        candidates = SINGLE_BYTE
    else:
        candidates = LEGACY
    best = from_bytes(seen, cp_isolation=list(candidates), steps=4, chunk_size=1024).best()
    return best.encoding if best is not None and best.encoding in candidates else "cp1252"


def _is_latin(sample: bytes, high: bytes) -> bool:
    """Whether letters beyond ASCII stand alone among others, as they do in no other script."""
    alone = len(_ALONE.findall(sample))
    return alone * 10 >= len(high) * 4 and len(_LEADS.findall(high)) * 20 <= len(high)


def _latin(sample: bytes) -> str | None:
    """Which of the encodings of western and central Europe, where a few letters tell; None leaves it open."""
    if _SIGNS_IN_WORDS.search(sample):
        return "iso8859_2" if _POLISH_ISO.search(sample) else "cp1250"
    if _TURKISH.search(sample):
        return "cp1254" if _TURKISH_TOO.search(sample) and not _ICELANDIC.search(sample) else None
    if not _WESTERN_ONLY.search(sample):
        return "cp1252"
    if _CZECH_ISO.search(sample) and not _C1.search(sample):
        return "iso8859_2"
    return None


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes can be text; a known binary format or scattered control characters cannot."""
    if head.startswith(BINARY_MARKS):
        return False
    wide = next((encoding for mark, encoding in BOMS[1:] if head.startswith(mark)), None)
    if wide is None and b"\x00" in head:
        wide = _wide(head)
        if wide is None and head.count(0) > len(head) // 100 + 1:
            return False
    if wide is not None:
        text = head.decode(wide, "ignore")
        return sum(c < " " and c not in "\t\n\r\f\x1b" for c in text) <= len(text) // 50
    return len(head) - len(head.translate(None, _CONTROLS)) <= len(head) // 50
