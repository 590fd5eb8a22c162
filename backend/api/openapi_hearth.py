"""What the house's own routes answer, as JSON schemas."""

from __future__ import annotations

from backend.api.openapi_parts import (
    ANY_OBJECT,
    ANYTHING,
    BOOLEAN,
    COUNT,
    COUNT_OR_NULL,
    INTEGER,
    MOMENT,
    MOMENT_OR_NULL,
    NUMBER,
    NUMBER_OR_NULL,
    OBJECT_OR_NULL,
    STRING,
    TEXT_OR_NULL,
    Schema,
    array,
    const,
    described,
    obj,
    one_of,
    paged,
    ref,
    words,
)

_KEY = {
    "id": STRING,
    "name": STRING,
    "prefix": STRING,
    "created_at": MOMENT,
    "last_used_at": MOMENT_OR_NULL,
    "expires_at": MOMENT_OR_NULL,
}
_CONVERSATION = {
    "session_id": STRING,
    "title": STRING,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "collections": array(STRING),
}
_FILE = obj({"id": STRING, "name": STRING, "content_type": STRING, "size": COUNT, "url": STRING})

SCHEMAS: dict[str, Schema] = {
    "User": obj({"id": STRING, "username": STRING, "role": words("admin", "user"), "created_at": MOMENT}),
    "LoginAnswer": obj(
        {
            "access_token": STRING,
            "token_type": const("bearer"),
            "expires_in": described(COUNT, "Seconds."),
            "user": ref("User"),
        }
    ),
    "ApiKey": obj(_KEY),
    "NewApiKey": obj({**_KEY, "key": described(STRING, "The key itself: it is shown in this answer only.")}),
    "ApiKeys": obj({"keys": array(ref("ApiKey"))}),
    "Document": obj(
        {
            "file_id": STRING,
            "doc_id": STRING,
            "filename": STRING,
            "size": described(COUNT, "Bytes."),
            "content_type": STRING,
            "status": STRING,
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "chunks": COUNT,
            "pages": COUNT_OR_NULL,
            "unit": described(words("page", "slide", "sheet", "chapter"), "What `pages` counts."),
            "error": TEXT_OR_NULL,
            "note": TEXT_OR_NULL,
            "created_at": MOMENT,
        }
    ),
    "Found": obj(
        {
            "query": described(STRING, "What was searched for."),
            "hits": array(
                obj(
                    {
                        "file_id": STRING,
                        "filename": STRING,
                        "page": COUNT_OR_NULL,
                        "unit": described(words("page", "slide", "sheet", "chapter"), "What `page` counts."),
                        "label": described(STRING, "Name of the sheet or chapter."),
                        "heading": described(array(STRING), "The headings above, outermost first."),
                        "line": COUNT_OR_NULL,
                        "start": described(COUNT_OR_NULL, "Place in the text of the page, in characters."),
                        "end": COUNT_OR_NULL,
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "parts": described(
                            {"type": "object", "additionalProperties": NUMBER}, "What the score was made of."
                        ),
                        "text": STRING,
                        "url": described(STRING, "Where the passage is shown in its place."),
                    }
                )
            ),
        }
    ),
    "Uploaded": one_of(ref("Document"), obj({"files": array(ref("Document"))})),
    "Documents": paged("documents", "Document"),
    "PageText": obj(
        {
            "file_id": STRING,
            "filename": STRING,
            "content_type": STRING,
            "page": COUNT_OR_NULL,
            "pages": COUNT_OR_NULL,
            "unit": described(words("page", "slide", "sheet", "chapter"), "What `pages` counts."),
            "label": described(STRING, "Name of the sheet or chapter; empty where it has none."),
            "form": described(words("markdown", "plain", "code"), "How the text shows its structure."),
            "scanned": described(BOOLEAN, "A picture without text of its own."),
            "text": STRING,
        }
    ),
    "PageMarks": obj(
        {
            "found": BOOLEAN,
            "rects": described(
                array(array({"type": "number", "minimum": 0, "maximum": 1}, minItems=4, maxItems=4)),
                "x0, y0, x1, y1 of each line, as shares of the page's width and height, from the top left.",
            ),
        }
    ),
    "SharedCollection": obj(
        {
            "id": STRING,
            "name": STRING,
            "files": COUNT,
            "mine": BOOLEAN,
            "owner": STRING,
            "readers": array(STRING),
            "created_at": MOMENT,
        }
    ),
    "Collections": obj({"collections": array(ref("SharedCollection"))}),
    "SessionInfo": obj({**_CONVERSATION, "messages": described(COUNT, "How many.")}),
    "Sessions": paged("conversations", "SessionInfo"),
    "Session": obj(
        {
            **_CONVERSATION,
            "messages": array(obj({"role": STRING, "content": ANYTHING, "timestamp": MOMENT})),
        }
    ),
    "RunRow": obj(
        {
            "run_id": STRING,
            "session_id": TEXT_OR_NULL,
            "created_at": MOMENT,
            "seconds": NUMBER_OR_NULL,
            "status": STRING,
            "model": TEXT_OR_NULL,
            "query": STRING,
            "agent": TEXT_OR_NULL,
            "step_count": COUNT,
            "tokens": COUNT,
            "stopped_because": TEXT_OR_NULL,
        }
    ),
    "Runs": paged("runs", "RunRow"),
    "RunTrace": obj({"run_id": STRING, "status": STRING}, description="The whole trace of a run."),
    "RunEvent": obj({"type": STRING}, description="What happened in a run; the event's id is its number."),
    "RunStatus": obj({"run_id": STRING, "status": STRING}),
    "Route": obj(
        {
            "task": STRING,
            "agent": TEXT_OR_NULL,
            "reason": STRING,
            "confidence": NUMBER,
            "seconds": NUMBER,
        }
    ),
    "Tool": obj(
        {
            "name": STRING,
            "description": STRING,
            "parameters": OBJECT_OR_NULL,
            "available": BOOLEAN,
            "reason": TEXT_OR_NULL,
            "enabled": BOOLEAN,
            "outbound": BOOLEAN,
            "needs_confirmation": BOOLEAN,
        }
    ),
    "Tools": obj({"tools": array(ref("Tool"))}),
    "DisabledTools": obj({"disabled_tools": array(STRING)}),
    "Source": obj(
        {
            "index": INTEGER,
            "kind": STRING,
            "title": TEXT_OR_NULL,
            "url": TEXT_OR_NULL,
            "file_id": TEXT_OR_NULL,
            "filename": TEXT_OR_NULL,
            "page": COUNT_OR_NULL,
            "quote": TEXT_OR_NULL,
            "score": NUMBER_OR_NULL,
        }
    ),
    "ToolAnswer": obj(
        {
            "text": STRING,
            "data": ANYTHING,
            "sources": array(ref("Source")),
            "files": array(_FILE),
            "error": described(TEXT_OR_NULL, "What went wrong, when the tool failed."),
            "seconds": NUMBER,
        }
    ),
    "RpcRequest": obj(
        {"jsonrpc": const("2.0"), "method": STRING},
        {"id": {"type": ["string", "integer", "null"]}, "params": ANY_OBJECT},
        "One message of the Model Context Protocol.",
    ),
    "RpcAnswer": obj(
        {"jsonrpc": const("2.0")},
        {"id": {"type": ["string", "integer", "null"]}, "result": ANYTHING, "error": ANY_OBJECT},
    ),
    "Health": obj(
        {
            "status": words("ok", "degraded"),
            "version": STRING,
            "model": TEXT_OR_NULL,
            "provider": TEXT_OR_NULL,
            "message": TEXT_OR_NULL,
            "damaged_files": COUNT,
        },
        {"sandbox": ANY_OBJECT},
    ),
    "Readiness": obj(
        {
            "status": words("ready", "not_ready"),
            "model": STRING,
            "provider": TEXT_OR_NULL,
            "embedder": STRING,
            "storage": STRING,
            "message": TEXT_OR_NULL,
        },
        {"plugins": STRING},
    ),
}
