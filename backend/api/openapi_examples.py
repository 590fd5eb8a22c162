"""Examples of requests and answers, as they stand in the OpenAPI document; the tests send the requests for real."""

from __future__ import annotations

from typing import Any

_HELLO = [{"role": "user", "content": "Say hello."}]
_WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

REQUESTS: dict[str, dict[str, Any]] = {
    "POST /v1/chat/completions": {
        "question": {"model": "hearth", "messages": _HELLO},
        "streamed": {
            "model": "hearth",
            "messages": [{"role": "system", "content": "Be brief."}, *_HELLO],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        "agent": {
            "model": "hearth",
            "agent": "react",
            "messages": [{"role": "user", "content": "What is 17 * 23?"}],
            "enabled_tools": ["math_calc"],
        },
        "tools": {
            "model": "hearth",
            "messages": [{"role": "user", "content": "How is the weather in Bern?"}],
            "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": _WEATHER}}],
            "tool_choice": "auto",
        },
        "structured": {
            "model": "hearth",
            "messages": [{"role": "user", "content": "Name a city."}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "strict": True, "schema": _WEATHER},
            },
            "temperature": 0,
            "max_completion_tokens": 50,
        },
    },
    "POST /v1/chat/completions/{completion_id}": {"label": {"metadata": {"topic": "demo"}}},
    "POST /v1/completions": {"text": {"model": "hearth", "prompt": "Say hello.", "max_tokens": 16}},
    "POST /v1/embeddings": {
        "texts": {"model": "all-MiniLM-L6-v2", "input": ["a cat", "a dog"]},
        "base64": {"model": "all-MiniLM-L6-v2", "input": "a cat", "encoding_format": "base64", "dimensions": 64},
    },
    "POST /v1/uploads": {
        "upload": {"filename": "handbook.txt", "purpose": "assistants", "bytes": 4, "mime_type": "text/plain"}
    },
    "POST /v1/uploads/{upload_id}/complete": {"parts": {"part_ids": ["part_0123456789abcdef0123456789abcdef"]}},
    "POST /v1/vector_stores": {"empty": {"name": "Manuals", "metadata": {"team": "support"}}},
    "POST /v1/vector_stores/{vector_store_id}": {"rename": {"name": "Handbooks"}},
    "POST /api/search": {"search": {"query": "How long is the warranty?", "top_k": 5, "types": ["pdf"]}},
    "POST /v1/vector_stores/{vector_store_id}/search": {
        "search": {"query": "How long is the warranty?", "max_num_results": 5}
    },
    "POST /v1/vector_stores/{vector_store_id}/files": {
        "file": {"file_id": "0123456789abcdef0123456789abcdef", "attributes": {"year": 2026}}
    },
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": {"label": {"attributes": {"year": 2026}}},
    "POST /v1/vector_stores/{vector_store_id}/file_batches": {
        "files": {"file_ids": ["0123456789abcdef0123456789abcdef"]}
    },
    "POST /v1/responses": {
        "question": {"model": "hearth", "input": "Say hello."},
        "items": {
            "model": "hearth",
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Say hello."}]}],
            "store": False,
        },
        "streamed": {"model": "hearth", "input": "Say hello.", "stream": True},
    },
    "POST /v1/responses/input_tokens": {"count": {"model": "hearth", "input": "Say hello."}},
    "POST /v1/responses/compact": {"compact": {"model": "hearth", "input": _HELLO}},
    "POST /v1/conversations": {"new": {"metadata": {"topic": "demo"}}},
    "POST /v1/conversations/{conversation_id}": {"label": {"metadata": {"topic": "demo"}}},
    "POST /v1/conversations/{conversation_id}/items": {
        "message": {"items": [{"type": "message", "role": "user", "content": "Say hello."}]}
    },
    "POST /v1/messages": {"question": {"model": "hearth", "max_tokens": 100, "messages": _HELLO}},
    "POST /v1/messages/count_tokens": {"count": {"model": "hearth", "messages": _HELLO}},
    "POST /api/auth/login": {"admin": {"username": "admin", "password": "correct horse battery"}},
    "POST /api/auth/keys": {"named": {"name": "laptop"}},
    "POST /api/files/documents/{file_id}/pages/{number}/marks": {"sentence": {"quote": "Either side may give notice."}},
    "PATCH /api/conversations/{session_id}": {"title": {"title": "About cats"}, "all": {"collections": []}},
    "PUT /api/collections/{collection_id}/readers": {"private": {"users": []}},
    "POST /api/route": {"question": {"messages": [{"role": "user", "content": "What is 17 * 23?"}]}},
    "PUT /api/tools/settings": {"one": {"disabled_tools": ["web_search"]}},
    "POST /api/tools/{name}/run": {"math": {"arguments": {"expression": "17 * 23"}}},
    "POST /mcp": {"list": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}},
}
"""By route and name; each fits the schema of its body."""

_WHEN = 1_767_225_600
_USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
_ID = "0123456789abcdef0123456789abcdef"

ANSWERS: dict[str, Any] = {
    "GET /v1/models": {
        "object": "list",
        "data": [{"id": "hearth", "object": "model", "created": _WHEN, "owned_by": "hearth"}],
    },
    "GET /v1/models/{model_id}": {"id": "hearth", "object": "model", "created": _WHEN, "owned_by": "hearth"},
    "POST /v1/chat/completions": {
        "id": f"chatcmpl-{_ID}",
        "object": "chat.completion",
        "created": _WHEN,
        "model": "llama3.2:3b",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    },
    "POST /v1/completions": {
        "id": f"cmpl-{_ID}",
        "object": "text_completion",
        "created": _WHEN,
        "model": "llama3.2:3b",
        "choices": [{"text": "Hello!", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": _USAGE,
    },
    "POST /v1/embeddings": {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
        "model": "all-MiniLM-L6-v2",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    },
    "POST /v1/files": {
        "id": _ID,
        "object": "file",
        "bytes": 1234,
        "created_at": _WHEN,
        "filename": "handbook.pdf",
        "purpose": "assistants",
        "status": "uploaded",
    },
    "POST /v1/vector_stores": {
        "id": f"vs_{_ID}",
        "object": "vector_store",
        "created_at": _WHEN,
        "name": "Manuals",
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "last_active_at": _WHEN,
        "metadata": {"team": "support"},
    },
    "POST /v1/responses": {
        "id": f"resp_{_ID}",
        "object": "response",
        "created_at": _WHEN,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "llama3.2:3b",
        "output": [
            {
                "id": f"msg_{_ID}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello!", "annotations": [], "logprobs": []}],
            }
        ],
        "parallel_tool_calls": True,
        "temperature": None,
        "top_p": None,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 12,
        },
    },
    "POST /v1/messages": {
        "id": f"msg_{_ID}",
        "type": "message",
        "role": "assistant",
        "model": "llama3.2:3b",
        "content": [{"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 3},
    },
    "POST /v1/messages/count_tokens": {"input_tokens": 9},
    "POST /api/route": {
        "task": "agentic",
        "agent": "react",
        "reason": "arithmetic",
        "confidence": 0.97,
        "seconds": 0.004,
    },
    "POST /api/tools/{name}/run": {
        "text": "17 * 23 = 391",
        "data": {"result": "391"},
        "sources": [],
        "files": [],
        "error": None,
        "seconds": 0.02,
    },
}
"""By route; each fits the schema of its answer."""
