"""The job that asks a database which an administrator named: one SELECT in a read-only transaction, rolled back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.workers.jobs.sql_job_rules import MAX_ROWS, RowTaker, check_statement, words_of
from backend.workers.port import Refusal

PRELOAD = ("sqlalchemy",)
CONNECT_SECONDS = 5
MAX_TABLES = 60
MAX_COLUMNS = 60
_DENIED = re.compile(
    r"pg_(?:read|ls|stat_file|file|sleep|terminate|cancel|reload|rotate|logical|replication|switch|promote|advisory"
    r"|try_advisory|create|drop|export|import|log|backup|start|stop|wal|notify|hba|ident|show|settings|shadow|authid"
    r"|user_mapping|stat_ssl|config)\w*"
    r"|lo_\w+|dblink\w*|set_config|current_setting|query_to_xml\w*|table_to_xml\w*|cursor_to_xml\w*|database_to_xml\w*"
    r"|inet_server_\w+|load_file|sleep|benchmark|sys_exec|sys_eval|xp_\w+|nextval|setval|txid_\w+|load_extension"
)
"""Names that have no business in a question: files, other servers, settings, waiting."""


def query(sql: str, url: str, seconds: float) -> dict[str, Any]:
    """Answer one SELECT. `url` is SQLAlchemy's; it appears in no answer and no error.

    Returns:
        `{"columns", "rows", "truncated", "seconds"}`, or `{"error": a sentence}`.
    """
    import sqlalchemy

    try:
        check_statement(sql)
        _check_names(sql)
    except Refusal as refusal:
        return {"error": str(refusal)}
    began = time.monotonic()
    taker = RowTaker()
    try:
        with _connected(url, seconds) as connection:
            columns = _run(connection, sql.rstrip().rstrip(";"), taker)
    except sqlalchemy.exc.SQLAlchemyError as error:
        return {"error": _sentence(error, seconds)}
    except Refusal as refusal:
        return {"error": str(refusal)}
    took = round(time.monotonic() - began, 4)
    return {"columns": columns, "rows": taker.rows, "truncated": taker.truncated, "seconds": took}


def describe(url: str, samples: int, seconds: float) -> dict[str, Any]:
    """`{"tables": [{"name", "columns": [{"name", "type"}], "sample": [[…]]}]}` of the database's default schema."""
    import sqlalchemy

    try:
        with _connected(url, seconds) as connection:
            inspector = sqlalchemy.inspect(connection)
            names = sorted({*inspector.get_table_names(), *inspector.get_view_names()})[:MAX_TABLES]
            return {"tables": [_described(connection, inspector, name, samples) for name in names]}
    except sqlalchemy.exc.SQLAlchemyError as error:
        return {"error": _sentence(error, seconds)}
    except Refusal as refusal:
        return {"error": str(refusal)}


def _described(connection: Any, inspector: Any, name: str, samples: int) -> dict[str, Any]:
    import sqlalchemy

    columns = [
        {"name": str(column["name"]), "type": str(column["type"]).lower()[:40]}
        for column in inspector.get_columns(name)[:MAX_COLUMNS]
    ]
    taker = RowTaker()
    quoted = connection.dialect.identifier_preparer.quote(name)
    inner = connection.begin_nested()
    try:
        for row in connection.exec_driver_sql(f"SELECT * FROM {quoted} LIMIT {int(samples)}"):
            taker.take(row)
    except sqlalchemy.exc.SQLAlchemyError:
        inner.rollback()  # a table the account may not read is listed without rows
    return {"name": name, "columns": columns, "sample": taker.rows}


@contextmanager
def _connected(url: str, seconds: float) -> Iterator[Any]:
    """A connection of its own in a read-only transaction with a time limit; always rolled back and closed."""
    import sqlalchemy
    from sqlalchemy.pool import NullPool

    try:
        address = sqlalchemy.engine.make_url(url)
        kind = address.get_backend_name()
        options: dict[str, Any] = (
            {"connect_timeout": CONNECT_SECONDS} if kind in ("postgresql", "mysql", "mariadb") else {}
        )
        engine = sqlalchemy.create_engine(address, poolclass=NullPool, connect_args=options)
    except (sqlalchemy.exc.ArgumentError, ImportError):
        raise Refusal("The database's driver is not installed: tell the administrator.") from None
    try:
        with engine.connect() as connection:
            for statement in _restrictions(kind, seconds):
                connection.exec_driver_sql(statement)
            try:
                yield connection
            finally:
                connection.rollback()
    finally:
        engine.dispose()


def _restrictions(kind: str, seconds: float) -> list[str]:
    milliseconds = int(seconds * 1000)
    if kind == "postgresql":
        return [
            "SET TRANSACTION READ ONLY",
            f"SET LOCAL statement_timeout = {milliseconds}",
            f"SET LOCAL lock_timeout = {milliseconds}",
            f"SET LOCAL idle_in_transaction_session_timeout = {2 * milliseconds}",
        ]
    if kind in ("mysql", "mariadb"):
        return ["SET TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"]
    raise Refusal(f"Databases of the kind {kind} cannot be asked safely: tell the administrator.")


def _run(connection: Any, sql: str, taker: RowTaker) -> list[str]:
    raw = connection.connection.driver_connection
    if connection.dialect.driver == "psycopg":
        import psycopg
        import sqlalchemy

        try:
            # Prepared, so that the server itself takes one statement and no more; the cursor, so that it sends no
            # more rows than are wanted.
            with raw.cursor() as cursor:
                cursor.execute(f"DECLARE answer NO SCROLL CURSOR FOR {sql}", prepare=True)
                cursor.execute(f"FETCH {MAX_ROWS + 1} FROM answer")
                for row in cursor:
                    if not taker.take(row):
                        break
                return [column.name for column in cursor.description or ()]
        except psycopg.Error as error:
            raise sqlalchemy.exc.DBAPIError(None, None, error) from None
    result = connection.execution_options(stream_results=True).exec_driver_sql(sql)
    for row in result:
        if not taker.take(row):
            break
    return list(result.keys())


def _check_names(sql: str) -> None:
    for name in sorted(words_of(sql)):
        if _DENIED.fullmatch(name):
            raise Refusal(f"{name[:60]} is not allowed here: ask about the tables only.")


def _sentence(error: Any, seconds: float) -> str:
    """What the server says is wrong with the statement; nothing of the connection."""
    original = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None) or ""
    message = getattr(getattr(original, "diag", None), "message_primary", None)
    if state == "57014":
        return f"The statement took longer than {seconds:g} seconds and was stopped: ask for less."
    if state == "25006" or (message and "cursor" in message.lower()):
        return "Only reading is allowed here: one SELECT (or WITH … SELECT) statement."
    if state[:2] in ("42", "22", "21", "0A") and message:
        return f"{str(message)[:300].rstrip('.')}."
    return "The database could not be asked; tell the administrator if this stays so."
