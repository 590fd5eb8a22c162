"""What the routes of OpenAI's API answer, as JSON schemas: models, chat, completions, embeddings, files, stores."""

from __future__ import annotations

from backend.api.openapi_parts import (
    ANY_OBJECT,
    ANYTHING,
    BOOLEAN,
    COUNT,
    COUNT_OR_NULL,
    INTEGER,
    METADATA,
    NUMBER,
    OBJECT_OR_NULL,
    STRING,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Schema,
    array,
    const,
    deleted,
    described,
    listed,
    obj,
    one_of,
    or_null,
    ref,
    words,
)

_FINISH = ("stop", "length", "tool_calls", "content_filter", "function_call")
_CITATION = obj(
    {
        "type": const("url_citation"),
        "url_citation": obj({"start_index": COUNT, "end_index": COUNT, "url": STRING, "title": STRING}),
    }
)
_TOOL_CALL = obj(
    {
        "id": STRING,
        "type": const("function"),
        "function": obj({"name": STRING, "arguments": described(STRING, "JSON as text.")}),
    }
)
_CALL_PIECE = obj(
    {"index": COUNT},
    {"id": STRING, "type": const("function"), "function": obj({}, {"name": STRING, "arguments": STRING})},
)
_EXTRA = {"annotations": array(_CITATION), "reasoning_content": STRING, "reasoning": STRING, "hearth": ANY_OBJECT}
_IDS = {"session_id": TEXT_OR_NULL, "run_id": TEXT_OR_NULL}
_COMPLETION = {
    "id": STRING,
    "created": TIME,
    "model": STRING,
}
_SERVICE = {"system_fingerprint": TEXT_OR_NULL, "service_tier": TEXT_OR_NULL, "metadata": METADATA}
_COUNTS = obj(dict.fromkeys(("in_progress", "completed", "failed", "cancelled", "total"), COUNT))
_STORE_STATUS = words("in_progress", "completed", "failed", "cancelled")

SCHEMAS: dict[str, Schema] = {
    "Model": obj({"id": STRING, "object": const("model"), "created": TIME, "owned_by": STRING}, {"hearth": ANY_OBJECT}),
    "Models": obj(
        {"data": array(one_of(ref("Model"), ref("AnthropicModel")))},
        {"object": const("list"), "has_more": BOOLEAN, "first_id": TEXT_OR_NULL, "last_id": TEXT_OR_NULL},
        "OpenAI's list; Anthropic's for a caller that sends `anthropic-version`.",
    ),
    "AnthropicModel": obj(
        {"id": STRING, "type": const("model"), "display_name": STRING, "created_at": STRING},
        description="For callers that send `anthropic-version`.",
    ),
    "Usage": obj(
        {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
        {"prompt_tokens_details": ANY_OBJECT, "completion_tokens_details": ANY_OBJECT},
    ),
    "ChatMessage": obj(
        {"role": const("assistant"), "content": TEXT_OR_NULL, "refusal": TEXT_OR_NULL},
        {"tool_calls": array(_TOOL_CALL), "function_call": ANY_OBJECT, **_EXTRA},
    ),
    "ChatCompletion": obj(
        {
            **_COMPLETION,
            "object": const("chat.completion"),
            "choices": array(
                obj(
                    {
                        "index": COUNT,
                        "message": ref("ChatMessage"),
                        "logprobs": OBJECT_OR_NULL,
                        "finish_reason": words(*_FINISH),
                    }
                )
            ),
            "usage": ref("Usage"),
        },
        {**_SERVICE, **_IDS},
    ),
    "ChatCompletionChunk": obj(
        {
            **_COMPLETION,
            "object": const("chat.completion.chunk"),
            "choices": array(
                obj(
                    {
                        "index": COUNT,
                        "delta": obj(
                            {},
                            {
                                "role": const("assistant"),
                                "content": TEXT_OR_NULL,
                                "tool_calls": array(_CALL_PIECE),
                                "function_call": ANY_OBJECT,
                                **_EXTRA,
                            },
                        ),
                        "finish_reason": or_null(words(*_FINISH)),
                    },
                    {"logprobs": OBJECT_OR_NULL},
                )
            ),
        },
        {"usage": or_null(ref("Usage")), "hearth_event": ANY_OBJECT, **_SERVICE, **_IDS},
    ),
    "ChatCompletionList": listed("ChatCompletion"),
    "ChatCompletionMessageList": listed("StoredChatMessage"),
    "StoredChatMessage": obj({"id": STRING, "role": STRING, "content": ANYTHING}),
    "ChatCompletionDeleted": deleted("chat.completion.deleted"),
    "Completion": obj(
        {
            **_COMPLETION,
            "object": const("text_completion"),
            "choices": array(
                obj(
                    {
                        "text": STRING,
                        "index": COUNT,
                        "logprobs": OBJECT_OR_NULL,
                        "finish_reason": or_null(words("stop", "length", "content_filter")),
                    }
                )
            ),
        },
        {"usage": or_null(ref("Usage")), **_SERVICE, **_IDS},
    ),
    "Embeddings": obj(
        {
            "object": const("list"),
            "data": array(
                obj(
                    {
                        "object": const("embedding"),
                        "index": COUNT,
                        "embedding": one_of(array(NUMBER), described(STRING, "base64 of little-endian float32.")),
                    }
                )
            ),
            "model": STRING,
            "usage": obj({"prompt_tokens": COUNT, "total_tokens": COUNT}),
        }
    ),
    "File": obj(
        {
            "id": STRING,
            "object": const("file"),
            "bytes": COUNT,
            "created_at": TIME,
            "filename": STRING,
            "purpose": STRING,
            "status": words("uploaded", "processed", "error"),
        },
        {"expires_at": TIME_OR_NULL, "status_details": TEXT_OR_NULL},
    ),
    "FileList": listed("File"),
    "FileDeleted": deleted("file"),
    "Upload": obj(
        {
            "id": STRING,
            "object": const("upload"),
            "bytes": COUNT,
            "created_at": TIME,
            "expires_at": TIME,
            "filename": STRING,
            "purpose": STRING,
            "status": words("pending", "completed", "cancelled", "expired"),
        },
        {"file": or_null(ref("File"))},
    ),
    "UploadPart": obj({"id": STRING, "object": const("upload.part"), "created_at": TIME, "upload_id": STRING}),
    "VectorStore": obj(
        {
            "id": STRING,
            "object": const("vector_store"),
            "created_at": TIME,
            "name": TEXT_OR_NULL,
            "usage_bytes": COUNT,
            "file_counts": _COUNTS,
            "status": words("expired", "in_progress", "completed"),
            "last_active_at": TIME_OR_NULL,
            "metadata": METADATA,
        },
        {"expires_after": OBJECT_OR_NULL, "expires_at": TIME_OR_NULL, "description": TEXT_OR_NULL},
    ),
    "VectorStoreList": listed("VectorStore"),
    "VectorStoreDeleted": deleted("vector_store.deleted"),
    "VectorStoreFile": obj(
        {
            "id": STRING,
            "object": const("vector_store.file"),
            "usage_bytes": COUNT,
            "created_at": TIME,
            "vector_store_id": STRING,
            "status": _STORE_STATUS,
            "last_error": or_null(obj({"code": STRING, "message": STRING})),
        },
        {"attributes": OBJECT_OR_NULL, "chunking_strategy": OBJECT_OR_NULL},
    ),
    "VectorStoreFileList": listed("VectorStoreFile"),
    "VectorStoreFileDeleted": deleted("vector_store.file.deleted"),
    "VectorStoreFileContent": obj(
        {
            "object": const("vector_store.file_content.page"),
            "data": array(obj({"type": const("text"), "text": STRING})),
            "has_more": BOOLEAN,
            "next_page": TEXT_OR_NULL,
        }
    ),
    "VectorStoreFileBatch": obj(
        {
            "id": STRING,
            "object": const("vector_store.files_batch"),
            "created_at": TIME,
            "vector_store_id": STRING,
            "status": _STORE_STATUS,
            "file_counts": _COUNTS,
        }
    ),
    "VectorStoreSearchResults": obj(
        {
            "object": const("vector_store.search_results.page"),
            "search_query": array(STRING),
            "data": array(
                obj(
                    {
                        "file_id": STRING,
                        "filename": STRING,
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "attributes": OBJECT_OR_NULL,
                        "content": array(obj({"type": const("text"), "text": STRING})),
                    }
                )
            ),
            "has_more": BOOLEAN,
            "next_page": TEXT_OR_NULL,
        }
    ),
    "ResponseObject": obj(
        {
            "id": STRING,
            "object": const("response"),
            "created_at": NUMBER,
            "status": words("completed", "failed", "in_progress", "cancelled", "queued", "incomplete"),
            "error": or_null(obj({"code": STRING, "message": STRING})),
            "incomplete_details": OBJECT_OR_NULL,
            "instructions": ANYTHING,
            "model": STRING,
            "output": array(ref("ResponseItem")),
            "parallel_tool_calls": BOOLEAN,
            "temperature": {"type": ["number", "null"]},
            "top_p": {"type": ["number", "null"]},
            "tool_choice": ANYTHING,
            "tools": array(ANY_OBJECT),
            "metadata": METADATA,
        },
        {
            "usage": or_null(ref("ResponseUsage")),
            "previous_response_id": TEXT_OR_NULL,
            "conversation": OBJECT_OR_NULL,
            "background": {"type": ["boolean", "null"]},
            "max_output_tokens": COUNT_OR_NULL,
            "text": OBJECT_OR_NULL,
            "reasoning": OBJECT_OR_NULL,
            "truncation": TEXT_OR_NULL,
            "hearth": OBJECT_OR_NULL,
        },
    ),
    "ResponseUsage": obj(
        {
            "input_tokens": COUNT,
            "input_tokens_details": ANY_OBJECT,
            "output_tokens": COUNT,
            "output_tokens_details": ANY_OBJECT,
            "total_tokens": COUNT,
        }
    ),
    "ResponseItem": obj(
        {"type": STRING},
        {"id": TEXT_OR_NULL, "status": TEXT_OR_NULL, "role": STRING, "content": ANYTHING},
        "A message, reasoning, a call of a tool or its result; `type` says which.",
    ),
    "ResponseEvent": obj({"type": STRING, "sequence_number": INTEGER}, description="One event of a streamed response."),
    "ResponseItemList": listed("ResponseItem"),
    "ResponseDeleted": deleted("response"),
    "ResponseInputTokens": obj({"object": const("response.input_tokens"), "input_tokens": COUNT}),
    "CompactedResponse": obj(
        {
            "id": STRING,
            "object": const("response.compaction"),
            "created_at": NUMBER,
            "output": array(ref("ResponseItem")),
        },
        {"usage": or_null(ref("ResponseUsage"))},
    ),
    "Conversation": obj({"id": STRING, "object": const("conversation"), "created_at": NUMBER, "metadata": METADATA}),
    "ConversationDeleted": deleted("conversation.deleted"),
    "AnthropicMessage": obj(
        {
            "id": STRING,
            "type": const("message"),
            "role": const("assistant"),
            "model": STRING,
            "content": array(obj({"type": STRING})),
            "stop_reason": TEXT_OR_NULL,
            "stop_sequence": TEXT_OR_NULL,
            "usage": obj({"input_tokens": COUNT, "output_tokens": COUNT}),
        },
        {"hearth": ANY_OBJECT},
    ),
    "AnthropicEvent": obj({"type": STRING}, description="One event of a streamed message."),
    "AnthropicTokens": obj({"input_tokens": COUNT}),
    "AnthropicError": obj(
        {
            "type": const("error"),
            "error": obj({"type": STRING, "message": STRING}),
        },
        {"request_id": TEXT_OR_NULL},
    ),
    "Error": obj(
        {
            "error": obj(
                {"message": STRING, "type": STRING, "param": TEXT_OR_NULL, "code": TEXT_OR_NULL},
            )
        },
        description="Every failure: what happened and what to do, and which field is at fault.",
    ),
}
