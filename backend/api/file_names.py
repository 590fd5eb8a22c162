"""What a file sent inside a message is called: its kind is told by its name, or else by its media type."""

from __future__ import annotations

from pathlib import PurePosixPath

FILE_TYPES = {
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/epub+zip": ".epub",
    "application/rtf": ".rtf",
    "message/rfc822": ".eml",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


def media_type_of(head: str) -> str:
    """The media type of what stands before the comma of a data: URL; empty when it names none."""
    return head[5:].split(";")[0].strip().lower() if head.startswith("data:") else ""


def file_name(given: object, media_type: str) -> str:
    """The given name, with the extension of the media type where it has none itself: several clients send a
    placeholder for a name."""
    name = given.strip() if isinstance(given, str) else ""
    name = name or "file"
    return name if PurePosixPath(name).suffix else f"{name}{FILE_TYPES.get(media_type, '')}"
