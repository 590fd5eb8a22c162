"""What each route answers: `METHOD /path` to the schema of its success, beside what the framework knows by itself."""

from __future__ import annotations

from dataclasses import dataclass

from backend.api.openapi_parts import Schema, listed, ref


@dataclass(frozen=True, slots=True)
class Success:
    """`schema`: of a JSON answer. `events`: the schema of one event, where the answer may be a stream of them.
    `media`: of an answer that is neither."""

    schema: Schema | None = None
    events: str | None = None
    media: str | None = None


def _json(name: str, events: str | None = None) -> Success:
    return Success(ref(name), events)


FILE = Success(media="*/*")
NOTHING = Success()

SUCCESSES: dict[str, Success] = {
    "GET /v1/models": _json("Models"),
    "GET /v1/models/{model_id}": Success({"anyOf": [ref("Model"), ref("AnthropicModel")]}),
    "POST /v1/chat/completions": _json("ChatCompletion", "ChatCompletionChunk"),
    "GET /v1/chat/completions": _json("ChatCompletionList"),
    "GET /v1/chat/completions/{completion_id}": _json("ChatCompletion"),
    "POST /v1/chat/completions/{completion_id}": _json("ChatCompletion"),
    "DELETE /v1/chat/completions/{completion_id}": _json("ChatCompletionDeleted"),
    "GET /v1/chat/completions/{completion_id}/messages": _json("ChatCompletionMessageList"),
    "POST /v1/completions": _json("Completion", "Completion"),
    "POST /v1/embeddings": _json("Embeddings"),
    "GET /v1/files": _json("FileList"),
    "POST /v1/files": _json("File"),
    "GET /v1/files/{file_id}": _json("File"),
    "DELETE /v1/files/{file_id}": _json("FileDeleted"),
    "GET /v1/files/{file_id}/content": FILE,
    "POST /v1/uploads": _json("Upload"),
    "POST /v1/uploads/{upload_id}/parts": _json("UploadPart"),
    "POST /v1/uploads/{upload_id}/complete": _json("Upload"),
    "POST /v1/uploads/{upload_id}/cancel": _json("Upload"),
    "GET /v1/vector_stores": _json("VectorStoreList"),
    "POST /v1/vector_stores": _json("VectorStore"),
    "GET /v1/vector_stores/{vector_store_id}": _json("VectorStore"),
    "POST /v1/vector_stores/{vector_store_id}": _json("VectorStore"),
    "DELETE /v1/vector_stores/{vector_store_id}": _json("VectorStoreDeleted"),
    "POST /api/search": _json("Found"),
    "POST /v1/vector_stores/{vector_store_id}/search": _json("VectorStoreSearchResults"),
    "GET /v1/vector_stores/{vector_store_id}/files": _json("VectorStoreFileList"),
    "POST /v1/vector_stores/{vector_store_id}/files": _json("VectorStoreFile"),
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}": _json("VectorStoreFile"),
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": _json("VectorStoreFile"),
    "DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}": _json("VectorStoreFileDeleted"),
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content": _json("VectorStoreFileContent"),
    "POST /v1/vector_stores/{vector_store_id}/file_batches": _json("VectorStoreFileBatch"),
    "GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}": _json("VectorStoreFileBatch"),
    "POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": _json("VectorStoreFileBatch"),
    "GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files": _json("VectorStoreFileList"),
    "POST /v1/responses": _json("ResponseObject", "ResponseEvent"),
    "GET /v1/responses/{response_id}": _json("ResponseObject", "ResponseEvent"),
    "DELETE /v1/responses/{response_id}": _json("ResponseDeleted"),
    "POST /v1/responses/{response_id}/cancel": _json("ResponseObject"),
    "GET /v1/responses/{response_id}/input_items": _json("ResponseItemList"),
    "POST /v1/responses/input_tokens": _json("ResponseInputTokens"),
    "POST /v1/responses/compact": _json("CompactedResponse"),
    "POST /v1/conversations": _json("Conversation"),
    "GET /v1/conversations/{conversation_id}": _json("Conversation"),
    "POST /v1/conversations/{conversation_id}": _json("Conversation"),
    "DELETE /v1/conversations/{conversation_id}": _json("ConversationDeleted"),
    "GET /v1/conversations/{conversation_id}/items": _json("ResponseItemList"),
    "POST /v1/conversations/{conversation_id}/items": Success(listed("ResponseItem")),
    "GET /v1/conversations/{conversation_id}/items/{item_id}": _json("ResponseItem"),
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}": _json("Conversation"),
    "POST /v1/messages": _json("AnthropicMessage", "AnthropicEvent"),
    "POST /v1/messages/count_tokens": _json("AnthropicTokens"),
    "POST /api/auth/login": _json("LoginAnswer"),
    "GET /api/auth/me": _json("User"),
    "POST /api/auth/logout": NOTHING,
    "GET /api/auth/keys": _json("ApiKeys"),
    "POST /api/auth/keys": _json("NewApiKey"),
    "DELETE /api/auth/keys/{key_id}": NOTHING,
    "POST /api/files/upload": _json("Uploaded"),
    "GET /api/files/documents": _json("Documents"),
    "GET /api/files/documents/{file_id}": _json("Document"),
    "DELETE /api/files/documents/{file_id}": NOTHING,
    "GET /api/files/documents/{file_id}/content": FILE,
    "GET /api/files/documents/{file_id}/view": FILE,
    "GET /api/files/documents/{file_id}/pages/{number}": _json("PageText"),
    "GET /api/files/documents/{file_id}/pages/{number}/image": Success(media="image/png"),
    "POST /api/files/documents/{file_id}/pages/{number}/marks": _json("PageMarks"),
    "GET /api/files/documents/{file_id}/events": Success(events="Document"),
    "GET /api/collections": _json("Collections"),
    "PUT /api/collections/{collection_id}/readers": _json("SharedCollection"),
    "GET /api/conversations": _json("Sessions"),
    "GET /api/conversations/{session_id}": _json("Session"),
    "PATCH /api/conversations/{session_id}": _json("SessionInfo"),
    "DELETE /api/conversations/{session_id}": NOTHING,
    "GET /api/conversations/{session_id}/export": Success(ref("Session"), media="text/markdown"),
    "GET /api/runs": _json("Runs"),
    "GET /api/runs/{run_id}": _json("RunTrace"),
    "DELETE /api/runs/{run_id}": NOTHING,
    "GET /api/runs/{run_id}/events": Success(events="RunEvent"),
    "POST /api/runs/{run_id}/cancel": _json("RunStatus"),
    "POST /api/route": _json("Route"),
    "GET /api/tools": _json("Tools"),
    "PUT /api/tools/settings": _json("DisabledTools"),
    "POST /api/tools/{name}/run": _json("ToolAnswer"),
    "GET /api/artifacts/{artifact_id}": FILE,
    "POST /mcp": _json("RpcAnswer"),
    "GET /health": _json("Health"),
    "GET /health/ready": _json("Readiness"),
}

TAGS: dict[str, str] = {
    "models": "What may be named in `model`.",
    "chat": "Chat completions, stored ones, and the decision who would answer.",
    "completions": "The older text completions.",
    "responses": "OpenAI's Responses API.",
    "collections": "Collections of the page: own ones and those that are shared.",
    "conversations": "Conversations: of the Responses API under /v1, of the page under /api.",
    "anthropic": "Anthropic's Messages API.",
    "embeddings": "Vectors of texts.",
    "files": "Documents: under /v1 in OpenAI's form, under /api with progress and pages.",
    "vector stores": "Collections of documents that are searched together.",
    "search": "Passages of the caller's documents that fit a query.",
    "runs": "Traces of agent runs.",
    "tools": "What agents use, and files that tools have made.",
    "mcp": "The Model Context Protocol.",
    "auth": "Signing in and API keys.",
    "health": "Whether the server lives and can answer.",
}
