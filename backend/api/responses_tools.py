"""The tools a /v1/responses request declares, mapped onto Hearth's own; and what its tool_choice leaves of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.core.json_form import check_schema
from backend.core.schema_shape import check_parameters
from backend.core.toolbox import ToolRegistry
from backend.llm.port import ToolChoice
from backend.models.attribute_filters import filter_of
from backend.models.collections import ANYTHING, SearchLimits
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.run import Owner
from backend.models.schemas_responses import ResponseRequest
from backend.models.tools import ToolSpec
from backend.utils.ids import is_safe_id

OWN_LABEL = "hearth"
"""The `server_label` of the server's own tools."""
FILE_SEARCH = frozenset({"rag_retrieval"})
WEB_SEARCH = frozenset({"web_search", "fetch_url", "wikipedia"})
CODE = frozenset({"python_code"})
WEB_TYPES = frozenset({"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"})
BUILT_IN: Mapping[str, frozenset[str]] = {
    "file_search": FILE_SEARCH,
    "code_interpreter": CODE,
    **dict.fromkeys(WEB_TYPES, WEB_SEARCH),
}
"""Types of declarations that stand for tools of this server, and those tools."""
MAX_NAME = 128
MUST_USE = "Before you answer, call {tools}, and base the answer on the result."
FILES_AT_HAND = "The user has put these files at the disposal of `python_code`; give their ids in `files`: {files}."


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool of this server. `label` names the MCP server it comes from (`hearth` for our own), `own_name` is what
    that server calls it; `confirm`: its calls wait for the user's word."""

    name: str
    label: str = OWN_LABEL
    own_name: str = ""
    confirm: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class ServerTools:
    """The server's tools as one user has them: those that can be called, and why others cannot, by name."""

    able: Mapping[str, ServerTool] = field(default_factory=dict)
    unable: Mapping[str, str] = field(default_factory=dict)


OWN_TOOLS = ServerTools({name: ServerTool(name) for name in FILE_SEARCH | WEB_SEARCH | CODE})
"""Stands where nobody has looked: the tools that the built-in types mean."""


async def server_tools(registry: ToolRegistry, owner: Owner, body: ResponseRequest) -> ServerTools:
    """What this user may name in `tools`; servers of others are reached for only when one is asked for."""
    if any(isinstance(each, dict) and each.get("type") == "mcp" for each in body.tools or ()):
        await registry.reach()
    able = {
        name: ServerTool(
            name, tool.server or OWN_LABEL, tool.listed_name or name, tool.needs_confirmation, tool.server_url
        )
        for name, tool in registry.of(owner).items()
    }
    return ServerTools(able, {name: each.reason for name, each in registry.unavailable_of(owner).items()})


@dataclass(frozen=True, slots=True)
class Declared:
    """What `tools` asks for. `built_in` holds, for each declaration, its type, its label and the tools it means."""

    functions: tuple[ToolSpec, ...] = ()
    built_in: tuple[tuple[str, str, frozenset[str]], ...] = ()
    collections: tuple[str, ...] = ()
    search: SearchLimits = ANYTHING
    files: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    echo: tuple[Mapping[str, Any], ...] = ()

    @property
    def server_names(self) -> frozenset[str]:
        """The server's tools that may be used."""
        return frozenset[str]().union(*(names for _, _, names in self.built_in))


@dataclass(frozen=True, slots=True)
class Allowed:
    """What tool_choice leaves of the declared tools. `must_use`: one of these has to be called before the answer;
    the agent is told so, as nothing can force it."""

    functions: tuple[ToolSpec, ...]
    server_names: frozenset[str]
    choice: ToolChoice = "auto"
    must_use: frozenset[str] = frozenset()


# ---- declarations -------------------------------------------------------------------------------------


def declared_tools(tools: Sequence[Mapping[str, Any]], offered: ServerTools) -> Declared:
    """Raises InvalidRequest or UnsupportedParameter naming `tools[N]…`."""
    found = Declared()
    for n, tool in enumerate(tools):
        at = f"tools[{n}]"
        kind = tool.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise UnsupportedParameter(
                f"Tools of type {str(kind)[:40]!r} are not available here: use function, file_search, web_search, "
                "code_interpreter or mcp.",
                param=f"{at}.type",
            )
        found = read(found, tool, offered, at)
    return found


def _function(found: Declared, tool: Mapping[str, Any], offered: ServerTools, at: str) -> Declared:
    name, schema = tool.get("name"), tool.get("parameters")
    if not isinstance(name, str) or not is_safe_id(name):
        raise _wrong("A function's name has 1 to 64 letters, digits, _ and -.", f"{at}.name")
    if any(name == other.name for other in found.functions):
        raise _wrong(f"Two functions are named {name!r}.", f"{at}.name")
    if schema is not None and not isinstance(schema, dict):
        raise _wrong("parameters must be a JSON schema.", f"{at}.parameters")
    description, strict = tool.get("description"), tool.get("strict")
    if description is not None and not isinstance(description, str):
        raise _wrong("description must be a string.", f"{at}.description")
    if strict is not None and not isinstance(strict, bool):
        raise _wrong("strict must be true or false.", f"{at}.strict")
    parameters = schema or {"type": "object", "properties": {}}
    if strict:
        check_schema(parameters, f"{at}.parameters")
    else:
        check_parameters(parameters, f"{at}.parameters")
    spec = ToolSpec(name, description or "", parameters, strict=strict is True)
    echo = {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": schema,
        "strict": strict is True,
    }
    return replace(found, functions=(*found.functions, spec), echo=(*found.echo, echo))


def _file_search(found: Declared, tool: Mapping[str, Any], offered: ServerTools, at: str) -> Declared:
    stores = _ids(tool.get("vector_store_ids"), f"{at}.vector_store_ids", required=True)
    most, ranking, filters = tool.get("max_num_results"), tool.get("ranking_options"), tool.get("filters")
    if most is not None and (type(most) is not int or not 1 <= most <= 50):
        raise _wrong("max_num_results must be between 1 and 50.", f"{at}.max_num_results")
    wanted = filter_of(filters, f"{at}.filters")
    if found.collections:
        raise _wrong("Declare file_search once, with all vector_store_ids.", f"{at}.type")
    threshold = ranking.get("score_threshold") if isinstance(ranking, dict) else None
    if threshold is not None and (type(threshold) not in (int, float) or not 0 <= threshold <= 1):
        raise _wrong("score_threshold must be between 0 and 1.", f"{at}.ranking_options.score_threshold")
    echo = {
        "type": "file_search",
        "vector_store_ids": stores,
        "max_num_results": most or 20,
        "filters": filters,
        "ranking_options": {"ranker": "auto", "score_threshold": threshold or 0.0},
    }
    found = _with(found, "file_search", FILE_SEARCH, offered, echo, at)
    limits = SearchLimits(wanted, float(threshold or 0), most)
    return replace(found, collections=tuple(dict.fromkeys(stores)), search=limits)


def _web_search(found: Declared, tool: Mapping[str, Any], offered: ServerTools, at: str) -> Declared:
    filters = tool.get("filters")
    if isinstance(filters, dict) and any(filters.values()):
        raise UnsupportedParameter(
            "The web search cannot be kept to some domains: leave out filters.", param=f"{at}.filters"
        )
    location, size = tool.get("user_location"), tool.get("search_context_size") or "medium"
    if size not in ("low", "medium", "high"):
        raise _wrong("search_context_size must be low, medium or high.", f"{at}.search_context_size")
    echo = {
        "type": tool["type"],
        "filters": None,
        "search_context_size": size,
        "user_location": location if isinstance(location, dict) else None,
    }
    return _with(found, "web_search", WEB_SEARCH, offered, echo, at)


def _code_interpreter(found: Declared, tool: Mapping[str, Any], offered: ServerTools, at: str) -> Declared:
    container = tool.get("container")
    if isinstance(container, str):
        raise UnsupportedParameter(
            'Containers are not kept between responses: use {"type": "auto"}.', param=f"{at}.container"
        )
    if container is not None and (not isinstance(container, dict) or container.get("type") != "auto"):
        raise _wrong("container must be of type auto.", f"{at}.container")
    files = _ids((container or {}).get("file_ids"), f"{at}.container.file_ids")
    echo = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": files}}
    found = _with(found, "code_interpreter", CODE, offered, echo, at)
    return replace(found, files=found.files | frozenset(files))


def _mcp(found: Declared, tool: Mapping[str, Any], offered: ServerTools, at: str) -> Declared:
    """Tools of a server that the operator has plugged in, by its label, or Hearth's own under `hearth`."""
    label = tool.get("server_label")
    if not isinstance(label, str) or not label:
        raise _wrong("server_label must name a server.", f"{at}.server_label")
    theirs = {name: each for name, each in offered.able.items() if each.label == label}
    if not theirs:
        raise _not_reachable(label, tool, offered, at)
    _same_server(tool, next(iter(theirs.values())), at)
    wanted = _allowed_names(tool.get("allowed_tools"), f"{at}.allowed_tools")
    if wanted is not None:
        theirs = {name: each for name, each in theirs.items() if name in wanted or each.own_name in wanted}
        if not theirs and wanted:
            raise _wrong(f"The server {label[:64]!r} has no such tool.", f"{at}.allowed_tools")
    about = tool.get("server_description")
    if about is not None and not isinstance(about, str):
        raise _wrong("server_description must be a string.", f"{at}.server_description")
    free = _without_approval(tool.get("require_approval"), theirs, f"{at}.require_approval")
    echo = {
        "type": "mcp",
        "server_label": label,
        "server_description": about,
        "server_url": tool.get("server_url"),
        "allowed_tools": tool.get("allowed_tools"),
        "require_approval": tool.get("require_approval") or "always",
        "headers": None,
    }
    built_in = (*found.built_in, ("mcp", label, frozenset(theirs)))
    return replace(found, built_in=built_in, confirmed=found.confirmed | free, echo=(*found.echo, echo))


def _not_reachable(label: str, tool: Mapping[str, Any], offered: ServerTools, at: str) -> InvalidRequest:
    reason = next((why for name, why in offered.unable.items() if name == label), None)
    if reason is not None:
        return InvalidRequest(
            f"The server {label[:64]!r} cannot be used now: {reason}.",
            param=f"{at}.server_label",
            code="tool_unavailable",
        )
    _same_server(tool, ServerTool(""), at)
    known = ", ".join(sorted({each.label for each in offered.able.values()} | {OWN_LABEL}))
    return _wrong(f"There is no server {label[:64]!r} here: use one of {known}.", f"{at}.server_label")


def _same_server(tool: Mapping[str, Any], known: ServerTool, at: str) -> None:
    """Refuse an address other than the one the operator has set up: nothing in a request chooses where we connect."""
    for key in ("server_url", "connector_id"):
        if tool.get(key) is not None and tool[key] != known.url:
            raise UnsupportedParameter(
                "Servers are not connected to out of requests: name one that is plugged in here by its server_label.",
                param=f"{at}.{key}",
            )


def _allowed_names(given: Any, param: str) -> frozenset[str] | None:
    names = given.get("tool_names") if isinstance(given, dict) else given
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong("allowed_tools must be a list of names.", param)
    return frozenset(names)


def _without_approval(given: Any, theirs: Mapping[str, ServerTool], param: str) -> frozenset[str]:
    """The tools whose calls need no word of the user's. By default each asks as the operator has set it up."""
    if given in (None, "always"):
        return frozenset()
    if given == "never":
        return frozenset(theirs)
    never = given.get("never") if isinstance(given, dict) else None
    if not isinstance(given, dict) or (never is not None and not isinstance(never, dict)):
        raise _wrong("require_approval must be always, never, or an object of the two.", param)
    wanted = _allowed_names(never, param) or frozenset()
    return frozenset(name for name, each in theirs.items() if name in wanted or each.own_name in wanted)


def _with(
    found: Declared, kind: str, names: frozenset[str], offered: ServerTools, echo: Mapping[str, Any], at: str
) -> Declared:
    able = names & frozenset(offered.able)
    if not able:
        reason = next((offered.unable[name] for name in sorted(names) if name in offered.unable), "it is not installed")
        raise InvalidRequest(f"{kind} is not available here: {reason}.", param=f"{at}.type", code="tool_unavailable")
    return replace(found, built_in=(*found.built_in, (kind, OWN_LABEL, able)), echo=(*found.echo, echo))


_READERS: Mapping[str, Callable[[Declared, Mapping[str, Any], ServerTools, str], Declared]] = {
    "function": _function,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "mcp": _mcp,
    **dict.fromkeys(WEB_TYPES, _web_search),
}


# ---- tool_choice ----------------------------------------------------------------------------------------


def allowed_by(choice: str | Mapping[str, Any] | None, declared: Declared, offered: ServerTools) -> Allowed:
    """Raises InvalidRequest naming `tool_choice`."""
    everything = Allowed(declared.functions, declared.server_names)
    if choice is None or choice == "auto":
        return everything
    if choice == "none":
        return Allowed(declared.functions, frozenset(), "none")
    if choice == "required":
        return _required(everything)
    if isinstance(choice, str):
        raise _bad_choice("tool_choice must be none, auto, required or an object.")
    if choice.get("type") != "allowed_tools":
        return _forced(choice, declared, offered)
    mode, listed = choice.get("mode", "auto"), choice.get("tools")
    if mode not in ("auto", "required") or not isinstance(listed, list) or not listed:
        raise _bad_choice("allowed_tools needs a mode (auto or required) and a list of tools.")
    each = [_forced(one if isinstance(one, dict) else {}, declared, offered) for one in listed]
    functions = {spec.name: spec for one in each for spec in one.functions}
    left = Allowed(tuple(functions.values()), frozenset[str]().union(*(one.server_names for one in each)))
    return _required(left) if mode == "required" else left


def _required(left: Allowed) -> Allowed:
    if not left.functions and not left.server_names:
        raise _bad_choice("tool_choice needs tools.")
    if not left.server_names:
        return replace(left, choice="required")
    return replace(left, must_use=left.server_names | {spec.name for spec in left.functions})


def _forced(choice: Mapping[str, Any], declared: Declared, offered: ServerTools) -> Allowed:
    """One tool, or the tools of one declaration."""
    kind, name = str(choice.get("type")), choice.get("name")
    if kind == "function":
        inner = choice.get("function")
        name = inner.get("name") if name is None and isinstance(inner, Mapping) else name
        spec = next((each for each in declared.functions if each.name == name), None)
        if spec is None:
            raise _bad_choice(f"tool_choice names {str(name)[:64]!r}, which is not among tools.")
        return Allowed((spec,), frozenset(), spec.name)
    kind = "web_search" if kind in WEB_TYPES else kind
    label = choice.get("server_label") if kind == "mcp" else OWN_LABEL
    names = frozenset[str]().union(
        *(names for each, its_label, names in declared.built_in if each == kind and its_label == label)
    )
    if name is not None and kind == "mcp":
        names = frozenset(each for each in names if name in (each, offered.able[each].own_name))
    if not names:
        raise _bad_choice(f"tool_choice names a tool of type {str(kind)[:40]!r}, which is not among tools.")
    return Allowed((), names, must_use=names)


def instructions_of(allowed: Allowed, files: frozenset[str]) -> str:
    """What the agent is told about the tools it was given; empty when there is nothing to say."""
    told = []
    if allowed.must_use:
        named = [f"`{name}`" for name in sorted(allowed.must_use)]
        told.append(MUST_USE.format(tools=named[0] if len(named) == 1 else f"at least one of {', '.join(named)}"))
    if files and CODE & allowed.server_names:
        told.append(FILES_AT_HAND.format(files=", ".join(sorted(files))))
    return "\n".join(told)


def _ids(given: Any, param: str, *, required: bool = False) -> list[str]:
    if given is None and not required:
        return []
    if not isinstance(given, list) or (required and not given) or len(given) > 100:
        raise _wrong("A list of ids is needed here.", param)
    for n, each in enumerate(given):
        if not isinstance(each, str) or not is_safe_id(each):
            raise _wrong("This is not an id of this server.", f"{param}[{n}]")
    return given


def _wrong(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_value")


def _bad_choice(message: str) -> InvalidRequest:
    return _wrong(message, "tool_choice")
