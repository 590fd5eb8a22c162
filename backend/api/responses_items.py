"""The items of /v1/responses and /v1/conversations: checked one by one, completed, and given ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backend.api.pictures import picture_of
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.schemas_responses import ResponseRequest
from backend.tasks.compaction import opened
from backend.utils.ids import is_safe_id, new_id

Item = dict[str, Any]

PREFIXES: Mapping[str, str] = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "file_search_call": "fs_",
    "web_search_call": "ws_",
    "code_interpreter_call": "ci_",
    "mcp_call": "mcp_",
    "mcp_list_tools": "mcpl_",
    "mcp_approval_request": "mcpr_",
    "mcp_approval_response": "mcpa_",
    "compaction": "cmp_",
}
"""What the ids of each kind of item begin with."""
ROLES = ("user", "assistant", "system", "developer")
DETAILS = ("auto", "low", "high", "original")
MAX_CALL_ID = 256
MAX_FUNCTION_NAME = 128


def item_id(kind: str) -> str:
    """A fresh id for an item of this kind, e.g. `msg_…`."""
    return new_id(PREFIXES[kind])


def input_items(body: ResponseRequest) -> list[Item]:
    """The request's input as items, each with an id. An `item_reference` stays one: whoever knows the earlier items
    puts the item in its place.

    Raises InvalidRequest naming `input.N…`, and for fields that exclude each other.
    """
    _refuse_contradictions(body)
    given: Sequence[Any] = (
        [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input or ()
    )
    if not given and body.previous_response_id is None and body.conversation_id is None:
        raise InvalidRequest(
            "input is missing: send a text or a list of items.", param="input", code="missing_required_parameter"
        )
    return checked_items(given, "input")


def checked_items(given: Sequence[Mapping[str, Any]], where: str) -> list[Item]:
    """Items in their full form, each with an id. Raises InvalidRequest naming `{where}.N…`."""
    return [_item(each, f"{where}.{n}") for n, each in enumerate(given)]


def _refuse_contradictions(body: ResponseRequest) -> None:
    if body.previous_response_id is not None and body.conversation_id is not None:
        raise InvalidRequest(
            "previous_response_id and conversation exclude each other: send one of them.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if body.background and not body.stored:
        raise InvalidRequest(
            "A background response must be stored: leave out store: false.", param="background", code="invalid_value"
        )
    if body.prompt is not None:
        raise UnsupportedParameter("Prompt templates are not kept here: send instructions and input.", param="prompt")


def _item(value: Any, at: str) -> Item:
    if not isinstance(value, Mapping):
        raise _wrong("Every item must be an object.", at)
    kind = value.get("type")
    if kind is None:
        kind = "message" if "role" in value else "item_reference" if "id" in value else None
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise InvalidRequest(
            f"Items of type {str(kind)[:40]!r} are not supported here.", param=f"{at}.type", code="invalid_value"
        )
    item = read(value, at)
    if kind == "item_reference":
        return item
    own = value.get("id")
    known = own if isinstance(own, str) and is_safe_id(own) else item_id(str(kind))
    return {"id": known, "type": kind, **item}


# ---- messages -------------------------------------------------------------------------------------


def _message(value: Mapping[str, Any], at: str) -> Item:
    role = value.get("role")
    if role not in ROLES:
        raise _wrong(f"role must be one of {', '.join(ROLES)}.", f"{at}.role")
    content = value.get("content")
    if isinstance(content, str):
        parts = [_text_of_role(content, str(role))]
    elif isinstance(content, list):
        parts = [_part(part, str(role), f"{at}.content.{n}") for n, part in enumerate(content)]
    else:
        raise _wrong("content must be a text or a list of parts.", f"{at}.content")
    item: Item = {"role": role, "status": "completed", "content": parts}
    if value.get("phase") in ("commentary", "final_answer"):
        item["phase"] = value["phase"]
    return item


def _text_of_role(text: str, role: str) -> Item:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def _part(part: Any, role: str, at: str) -> Item:
    kind = str(part.get("type")) if isinstance(part, Mapping) else ""
    if kind in ("input_text", "output_text", "text"):
        item = _text_of_role(_text(part, "text", at), role)
        if role == "assistant" and isinstance(part.get("annotations"), list):
            item["annotations"] = part["annotations"]
        return item
    if kind == "refusal" and role == "assistant":
        return {"type": "refusal", "refusal": _text(part, "refusal", at)}
    if kind in _INPUT_PARTS and role == "user":
        return _INPUT_PARTS[kind](part, at)
    raise InvalidRequest(
        f"Content parts of type {kind[:40]!r} are not supported in a message of role {role}.",
        param=f"{at}.type",
        code="unsupported_content",
    )


def _input_text(part: Mapping[str, Any], at: str) -> Item:
    return {"type": "input_text", "text": _text(part, "text", at)}


def _image(part: Mapping[str, Any], at: str) -> Item:
    """A picture by its data or by the id of an uploaded file; exactly one of the two."""
    url, file_id = part.get("image_url"), part.get("file_id")
    if (url is None) == (file_id is None):
        raise _wrong("A picture needs either image_url or file_id.", f"{at}.image_url")
    if url is not None:
        if not isinstance(url, str):
            raise _wrong("image_url must be a string here, not an object.", f"{at}.image_url")
        picture_of(url, f"{at}.image_url")
    else:
        _id(part, "file_id", at)
    detail = part.get("detail") or "auto"
    if detail not in DETAILS:
        raise _wrong(f"detail must be one of {', '.join(DETAILS)}.", f"{at}.detail")
    return {"type": "input_image", "image_url": url, "file_id": file_id, "detail": detail}


def _file(part: Mapping[str, Any], at: str) -> Item:
    """A file by its id, or by its name and content in base64."""
    if part.get("file_url") is not None:
        raise UnsupportedParameter(
            "Files are not fetched from addresses: upload the file, or send it as file_data.", param=f"{at}.file_url"
        )
    if part.get("file_id") is not None:
        return {"type": "input_file", "file_id": _id(part, "file_id", at)}
    data, name = part.get("file_data"), part.get("filename")
    if not isinstance(data, str) or not data:
        raise _wrong("A file needs file_id, or file_data with filename.", f"{at}.file_data")
    if not isinstance(name, str) or not name.strip():
        raise _wrong("file_data needs a filename.", f"{at}.filename")
    return {"type": "input_file", "filename": name, "file_data": data}


_INPUT_PARTS: Mapping[str, Callable[[Mapping[str, Any], str], Item]] = {
    "input_text": _input_text,
    "input_image": _image,
    "input_file": _file,
}


# ---- calls and what the server's own tools left behind ----------------------------------------------------


def _function_call(value: Mapping[str, Any], at: str) -> Item:
    name = _text(value, "name", at)
    if not 0 < len(name) <= MAX_FUNCTION_NAME:
        raise _wrong(f"name must have 1 to {MAX_FUNCTION_NAME} characters.", f"{at}.name")
    arguments = value.get("arguments", "")
    if not isinstance(arguments, str):
        raise _wrong("arguments must be JSON in a string.", f"{at}.arguments")
    return {"status": "completed", "arguments": arguments, "call_id": _call_id(value, at), "name": name}


def _function_output(value: Mapping[str, Any], at: str) -> Item:
    output = value.get("output")
    if isinstance(output, list):
        output = [_output_part(part, f"{at}.output.{n}") for n, part in enumerate(output)]
    elif not isinstance(output, str):
        raise _wrong("output must be a text or a list of parts.", f"{at}.output")
    return {"status": "completed", "call_id": _call_id(value, at), "output": output}


def _output_part(part: Any, at: str) -> Item:
    kind = str(part.get("type")) if isinstance(part, Mapping) else ""
    if kind not in _INPUT_PARTS:
        raise InvalidRequest(
            f"Parts of type {kind[:40]!r} are not supported in an output.",
            param=f"{at}.type",
            code="unsupported_content",
        )
    return _INPUT_PARTS[kind](part, at)


def _reference(value: Mapping[str, Any], at: str) -> Item:
    return {"type": "item_reference", "id": _id(value, "id", at)}


def _approval_request(value: Mapping[str, Any], at: str) -> Item:
    return {key: _text(value, key, at) for key in ("name", "arguments", "server_label")}


def _approval(value: Mapping[str, Any], at: str) -> Item:
    if not isinstance(value.get("approve"), bool):
        raise _wrong("approve must be true or false.", f"{at}.approve")
    reason = value.get("reason")
    return {
        "approval_request_id": _id(value, "approval_request_id", at),
        "approve": value["approve"],
        "reason": reason if isinstance(reason, str) else None,
    }


def _compaction(value: Mapping[str, Any], at: str) -> Item:
    """What POST /v1/responses/compact made of earlier turns."""
    content = _text(value, "encrypted_content", at)
    opened(content, f"{at}.encrypted_content")
    return {"encrypted_content": content}


def _as_it_is(*keys: str, **defaults: Any) -> Callable[[Mapping[str, Any], str], Item]:
    """An item that only travels back and forth: its own fields are kept, nothing else is taken in."""

    def read(value: Mapping[str, Any], at: str) -> Item:
        item = {key: value.get(key) for key in keys}
        return item | {key: value.get(key) or default for key, default in defaults.items()}

    return read


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Item]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_output,
    "item_reference": _reference,
    "reasoning": _as_it_is("content", "encrypted_content", "status", summary=[]),
    "file_search_call": _as_it_is("results", queries=[], status="completed"),
    "web_search_call": _as_it_is(action={"type": "search", "query": ""}, status="completed"),
    "code_interpreter_call": _as_it_is("code", "outputs", container_id="", status="completed"),
    "mcp_call": _as_it_is(
        "output", "error", "approval_request_id", name="", arguments="{}", server_label="hearth", status="completed"
    ),
    "mcp_list_tools": _as_it_is("error", server_label="hearth", tools=[]),
    "mcp_approval_request": _approval_request,
    "mcp_approval_response": _approval,
    "compaction": _compaction,
}


# ---- fields -----------------------------------------------------------------------------------------


def _wrong(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_value")


def _text(value: Mapping[str, Any], key: str, at: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise _wrong(f"{key} must be a string.", f"{at}.{key}")
    return text


def _id(value: Mapping[str, Any], key: str, at: str) -> str:
    """An id that this server made; one that it cannot have made is unknown, whatever it is."""
    found = _text(value, key, at)
    if not is_safe_id(found):
        raise _wrong(f"{key} is not an id of this server.", f"{at}.{key}")
    return found


def _call_id(value: Mapping[str, Any], at: str) -> str:
    call_id = _text(value, "call_id", at)
    if not 0 < len(call_id) <= MAX_CALL_ID:
        raise _wrong(f"call_id must have 1 to {MAX_CALL_ID} characters.", f"{at}.call_id")
    return call_id
