"""Electronic mail: who wrote what to whom and when, the text, and the names of what is attached."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from pathlib import Path

from backend.loaders.decoding import TOO_LONG, decode, looks_like_text
from backend.loaders.html_markdown import decode_html, to_markdown
from backend.loaders.markdown_text import Blocks, heading, item, one_line, paragraph
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_BYTES = 64 * 1_048_576
MAX_DEPTH = 3
"""Messages inside messages; of deeper ones only the subject is told."""
MAX_PARTS = 500
MAX_HEADER_CHARS = 2000
MAX_ATTACHED_CHARS = 262_144
"""Of the text of one attachment."""
SHOWN = ("From", "To", "Cc", "Date")
TEXTS = ("text/plain", "text/markdown", "text/csv", "text/calendar", "text/x-", "application/json")
_HEADER = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,76}:[ \t\r\n]")
_MAILBOX = re.compile(rb"From \S+ ")


class EmlLoader:
    name = "eml"
    extensions = (".eml",)
    content_type = "message/rfc822"

    def accepts(self, head: bytes, extension: str) -> bool:
        """A message begins with a header field, perhaps below the line that mailboxes put before each."""
        first = _MAILBOX.match(head)
        start = head[head.find(b"\n") + 1 :] if first else head.lstrip(b"\xef\xbb\xbf\r\n")
        return extension in self.extensions and looks_like_text(head) and bool(_HEADER.match(start))

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text, headed by the subject."""
        if path.stat().st_size > MAX_BYTES:
            raise LoadRefused(TOO_LONG)
        try:
            message = email.message_from_bytes(path.read_bytes().lstrip(b"\xef\xbb\xbf\r\n"))
            blocks = Blocks()
            _write(message, blocks, 0, _Budget())
        except RecursionError:
            raise LoadRefused("The message nests too deeply to be read: save its parts by themselves.") from None
        yield PageText(None, blocks.text(), form="markdown")


class _Budget:
    """Counts the parts of a message and of those inside it."""

    def __init__(self) -> None:
        self.parts = 0

    def take(self) -> bool:
        self.parts += 1
        return self.parts <= MAX_PARTS


def _write(message: Message, blocks: Blocks, depth: int, budget: _Budget) -> None:
    subject = _header(message, "Subject") or "(no subject)"
    blocks.add(heading(1 + depth, subject if not depth else f"Attached message: {subject}"))
    for name in SHOWN:
        value = _header(message, name)
        if value:
            blocks.add(item(0, "-", f"{name}: {value}"), is_item=True)
    bodies: list[Message] = []
    attached: list[Message] = []
    _sort(message, bodies, attached, budget)
    for part in bodies:
        for block in re.split(r"\n\s*\n", _text(part)):
            blocks.add(block if part.get_content_type() == "text/html" else paragraph(block))
    names = [name for part in attached if (name := _filename(part))]
    if names:
        blocks.add(heading(2 + depth, "Attachments"))
        for name in names:
            blocks.add(item(0, "-", name), is_item=True)
    for part in attached:
        _write_attached(part, blocks, depth, budget)


def _write_attached(part: Message, blocks: Blocks, depth: int, budget: _Budget) -> None:
    kind = part.get_content_type()
    if kind == "message/rfc822":
        inner = part.get_payload(0) if part.is_multipart() else None
        if isinstance(inner, Message) and depth < MAX_DEPTH and budget.take():
            _write(inner, blocks, depth + 1, budget)
    elif kind == "text/html" or kind.startswith(TEXTS):
        text = _text(part)[:MAX_ATTACHED_CHARS]
        if text.strip():
            blocks.add(heading(3 + depth, _filename(part) or "Attached text"))
            for block in re.split(r"\n\s*\n", text):
                blocks.add(block if kind == "text/html" else paragraph(block))


def _sort(part: Message, bodies: list[Message], attached: list[Message], budget: _Budget) -> None:
    """Which parts are the text and which are attached to it. Of alternatives the plain one is read, if it says
    anything."""
    if not budget.take():
        return
    kind = part.get_content_type()
    children = part.get_payload() if part.is_multipart() and kind != "message/rfc822" else None
    if isinstance(children, list):
        parts = [each for each in children if isinstance(each, Message)]
        if kind == "multipart/alternative":
            texts = [each for each in parts if each.get_content_type() == "text/plain" and _text(each).strip()]
            parts = texts[:1] or parts[-1:]
        for each in parts:
            _sort(each, bodies, attached, budget)
    elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment" and not _filename(part):
        bodies.append(part)
    else:
        attached.append(part)


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        if part.get_content_type() == "text/html":
            return to_markdown(decode_html(raw))[0]
        return decode(raw, _charset(part)).replace("\r\n", "\n")
    except LoadRefused:
        return ""


def _charset(part: Message) -> str | None:
    name = part.get_content_charset()
    try:
        return None if name is None or b"".decode(name) else name
    except (LookupError, ValueError):
        return None


def _header(message: Message, name: str) -> str:
    """A header field as a person reads it; encoded words are decoded (RFC 2047)."""
    value = message.get(name)
    if value is None:
        return ""
    try:
        words = decode_header(str(value)[:MAX_HEADER_CHARS])
    except ValueError:
        return one_line(str(value)[:MAX_HEADER_CHARS])
    return one_line("".join(_word(word, charset) for word, charset in words))


def _word(word: bytes | str, charset: str | None) -> str:
    if isinstance(word, str):
        return word
    try:
        return word.decode(charset or "utf-8", "replace")
    except LookupError:
        return word.decode("utf-8", "replace")


def _filename(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except (LookupError, ValueError, TypeError):
        name = ""
    if "=?" in name:
        try:
            name = "".join(_word(word, charset) for word, charset in decode_header(name[:MAX_HEADER_CHARS]))
        except ValueError:
            pass
    return one_line(name)[:255]


LOADER = EmlLoader()
