"""Matrices up to 30 by 30."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.workers.jobs.math_job_bounds import MAX_MATRIX, integer
from backend.workers.port import Refusal


def _matrix(rows: Any) -> Any:
    """From a list of rows; a flat list is one column."""
    import sympy as sp

    if getattr(rows, "is_Matrix", False):
        return rows
    if not isinstance(rows, (list, tuple)) or not rows:
        raise Refusal("A matrix is a list of rows, as in Matrix([[1, 2], [3, 4]]).")
    table = [list(row) if isinstance(row, (list, tuple)) else [row] for row in rows]
    if len(table) > MAX_MATRIX or max(len(row) for row in table) > MAX_MATRIX:
        raise Refusal(f"A matrix may have at most {MAX_MATRIX} rows and columns.")
    if len({len(row) for row in table}) != 1 or not table[0]:
        raise Refusal("All rows of a matrix must have the same length.")
    if not all(isinstance(cell, sp.Expr) for row in table for cell in row):
        raise Refusal("A matrix holds numbers and expressions only.")
    return sp.Matrix(table)


def _square(value: Any) -> Any:
    matrix = _matrix(value)
    if matrix.rows != matrix.cols:
        raise Refusal(f"This needs a square matrix; this one has {matrix.rows} rows and {matrix.cols} columns.")
    return matrix


def _inverse(value: Any) -> Any:
    matrix = _square(value)
    if matrix.det() == 0:
        raise Refusal("This matrix has no inverse: its determinant is 0.")
    return matrix.inv()


def _eigenvectors(value: Any) -> list[Any]:
    return [(root, vector) for root, _, vectors in _square(value).eigenvects() for vector in vectors]


def _characteristic(value: Any, symbol: Any = None) -> Any:
    import sympy as sp

    return _square(value).charpoly(symbol if symbol is not None else sp.Symbol("lambda")).as_expr()


def _norm(value: Any) -> Any:
    return _matrix(value).norm()


def _pair(name: str) -> Callable[[Any, Any], Any]:
    def call(a: Any, b: Any) -> Any:
        return getattr(_matrix(a), name)(_matrix(b))

    return call


def _filled(name: str) -> Callable[..., Any]:
    def call(*sides: Any) -> Any:
        import sympy as sp

        return getattr(sp, name)(*(integer(side, "The size of a matrix", 1, MAX_MATRIX) for side in sides))

    return call


def _diagonal(*values: Any) -> Any:
    import sympy as sp

    cells = list(values[0]) if len(values) == 1 and isinstance(values[0], (list, tuple)) else list(values)
    if not 1 <= len(cells) <= MAX_MATRIX or not all(isinstance(cell, sp.Expr) for cell in cells):
        raise Refusal(f"diag takes 1 to {MAX_MATRIX} values.")
    return sp.diag(*cells)


TABLE: dict[str, tuple[Callable[..., Any], int, int]] = {
    "Matrix": (_matrix, 1, 1),
    "det": (lambda value: _square(value).det(), 1, 1),
    "inv": (_inverse, 1, 1),
    "transpose": (lambda value: _matrix(value).T, 1, 1),
    "trace": (lambda value: _square(value).trace(), 1, 1),
    "rank": (lambda value: _rank(value), 1, 1),
    "eigenvals": (lambda value: dict(_square(value).eigenvals()), 1, 1),
    "eigenvects": (_eigenvectors, 1, 1),
    "nullspace": (lambda value: _matrix(value).nullspace(), 1, 1),
    "rref": (lambda value: _matrix(value).rref()[0], 1, 1),
    "charpoly": (_characteristic, 1, 2),
    "norm": (_norm, 1, 1),
    "dot": (_pair("dot"), 2, 2),
    "cross": (_pair("cross"), 2, 2),
    "eye": (_filled("eye"), 1, 1),
    "zeros": (_filled("zeros"), 1, 2),
    "ones": (_filled("ones"), 1, 2),
    "diag": (_diagonal, 1, MAX_MATRIX),
}
"""name -> function, the least and the most arguments."""


def _rank(value: Any) -> Any:
    import sympy as sp

    return sp.Integer(_matrix(value).rank())
