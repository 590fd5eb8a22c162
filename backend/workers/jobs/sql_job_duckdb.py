"""The job that answers one SELECT over columnar tables with DuckDB, for large files."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import Any

from backend.workers.jobs.sql_job_rules import FUNCTIONS, RowTaker, check_statement
from backend.workers.port import Refusal

PRELOAD = ("duckdb",)
MEMORY = "512MB"
FETCH = 100
_MORE_FUNCTIONS_TEXT = """
+ - * / // % ** ^ = == <> != < > <= >= || and or not ~~ !~~ ~~* !~~* ~~~ like_escape not_like_escape ilike
between count_star any_value approx_count_distinct arg_max arg_min bool_and bool_or concat concat_ws contains
corr covar_pop covar_samp date_diff date_part date_trunc day dayname dayofweek dayofyear ends_with entropy
epoch fill first hour greatest kurtosis last least left list_value log1p mad median minute mode month
monthname product quantile quantile_cont quantile_disc quarter regexp_extract regexp_matches right second
skewness split_part starts_with stddev stddev_pop stddev_samp struct_pack subtract add multiply divide today
try_cast var_pop var_samp variance week weekday weekofyear year cast date_add datediff isnan isfinite even gcd
lcm trim round_even strptime try_strptime prefix suffix row is_distinct_from
"""
_MORE_FUNCTIONS = frozenset(_MORE_FUNCTIONS_TEXT.split())
_ALLOWED = (FUNCTIONS - {"match", "glob"}) | _MORE_FUNCTIONS
_AS_IN_SQLITE = {"~~": "~~*", "!~~": "!~~*", "strftime": "strftime_of"}
_TABLE_FUNCTIONS = frozenset({"unnest"})
_FROM = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION", "CTE"})


class NotHere(Exception):
    """The statement uses what this engine is not let do, though the other may be."""


def query(sql: str, files: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Answer a SELECT over `files`: `{"path", "tables": [{"name", "stored"}]}`, columnar, paths server-made.

    Returns:
        `{"columns", "rows", "truncated", "seconds"}`, `{"error": a sentence}`, or `{"other": True}` where SQLite
        should be asked: a function or a way of writing that is not allowed or not known here.
    """
    import duckdb

    try:
        check_statement(sql)
    except Refusal as refusal:
        return {"error": str(refusal)}
    settings: dict[str, Any] = {
        "threads": "1",
        "memory_limit": MEMORY,
        "max_temp_directory_size": "0B",
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
    }
    with contextlib.closing(duckdb.connect(":memory:", config=settings)) as connection:
        names = _open(connection, files)
        try:
            meant = _checked(connection, sql, names)
        except NotHere:
            return {"other": True}
        return _answer(connection, meant, seconds)


def _open(connection: Any, files: list[dict[str, Any]]) -> set[str]:
    """Attach the files, give their tables the user's names, then lock everything."""
    names: set[str] = set()
    for number, file in enumerate(files):
        path = file["path"].replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS f{number} (READ_ONLY)")
        for table in file["tables"]:
            names.add(table["name"].casefold())
            connection.execute(
                f"CREATE VIEW {_quoted(table['name'])} AS SELECT * FROM f{number}.{_quoted(table['stored'])}"
            )
    connection.execute("CREATE MACRO strftime_of(form, moment) AS strftime(CAST(moment AS TIMESTAMP), form)")
    # What the two engines understand differently means here what it means in SQLite.
    connection.execute("SET integer_division=true")
    connection.execute("SET default_null_order='sqlite'")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    return names


def _checked(connection: Any, sql: str, names: set[str]) -> str:
    """The statement, after a walk through its tree: only SELECT, the user's tables, functions of the list.

    LIKE and strftime are given SQLite's meaning. Raises NotHere: this engine
    has no authorizer, so what is not known is refused.
    """
    import duckdb

    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise NotHere
        (text,) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree = json.loads(text)
    except (duckdb.Error, ValueError, RecursionError):
        raise NotHere from None
    if tree.get("error") or len(tree.get("statements", [])) != 1:
        raise NotHere
    if not _walk(tree["statements"][0], names | _made_by_with(tree)):
        return sql
    try:
        (meant,) = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    except duckdb.Error:
        raise NotHere from None
    return str(meant)


def _made_by_with(node: Any) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            cte = each.get("cte_map")
            if isinstance(cte, dict):
                found |= {
                    str(entry.get("key", "")).casefold() for entry in cte.get("map", []) if isinstance(entry, dict)
                }
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found


def _walk(node: Any, names: set[str]) -> bool:
    """Raises NotHere; whether something was replaced in the tree."""
    waiting = [node]
    changed = False
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
            continue
        if not isinstance(each, dict):
            continue
        if "from_table" in each and each["from_table"].get("type") not in _FROM:
            raise NotHere
        if "function_name" in each:
            allowed = _TABLE_FUNCTIONS | _ALLOWED
            if str(each["function_name"]).lower() not in allowed or each.get("schema") not in ("", None, "main"):
                raise NotHere
            other = _AS_IN_SQLITE.get(str(each["function_name"]).lower())
            if other is not None:
                each["function_name"] = other
                each["qualified_name"] = {"path": [other]}
                changed = True
        if len((each.get("qualified_name") or {"path": [""]})["path"]) != 1:
            raise NotHere  # a table or function of a named schema or file
        kind = each.get("type")
        if kind == "TABLE_FUNCTION" and str((each.get("function") or {}).get("function_name")) not in _TABLE_FUNCTIONS:
            raise NotHere
        if kind == "BASE_TABLE":
            named = str(each.get("table_name", "")).casefold()
            if named not in names or each.get("schema_name") or each.get("catalog_name"):
                raise NotHere
        if kind in ("SHOW_REF", "PIVOT", "COLUMN_DATA", "DELIM_GET", "BOUND_TABLE_REF"):
            raise NotHere
        waiting += each.values()
    return changed


def _answer(connection: Any, sql: str, seconds: float) -> dict[str, Any]:
    import duckdb

    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    began = time.monotonic()
    taker = RowTaker()
    try:
        cursor = connection.execute(sql)
        columns = [column[0].replace("count_star()", "count(*)") for column in cursor.description or ()]
        while batch := cursor.fetchmany(FETCH):
            if not all(taker.take(row) for row in batch):
                break
    except (duckdb.InterruptException, duckdb.OutOfMemoryException, MemoryError):
        if late.is_set():
            text = f"The statement took longer than {seconds:g} seconds and was stopped: ask for less."
            return {"error": text}
        return {"error": "The statement needed too much memory and was stopped: ask for less."}
    except duckdb.Error:
        # Names and ways of writing are SQLite's first; its sentence is also the shorter one.
        return {"error": "The statement was stopped."} if late.is_set() else {"other": True}
    finally:
        timer.cancel()
    took = time.monotonic() - began
    return {"columns": columns, "rows": taker.rows, "truncated": taker.truncated, "seconds": round(took, 4)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
