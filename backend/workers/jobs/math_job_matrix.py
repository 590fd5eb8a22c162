"""Matrices up to 30 by 30."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.workers.jobs.math_job_bounds import MAX_MATRIX, integer
from backend.workers.jobs.math_job_patience import SOLVE, TooLong, within
from backend.workers.port import Refusal

READABLE_OPERATIONS = 15
"""An eigenvalue with more is given as a decimal."""


def matrix_of(rows: Any) -> Any:
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
    matrix = matrix_of(value)
    if matrix.rows != matrix.cols:
        raise Refusal(f"This needs a square matrix; this one has {matrix.rows} rows and {matrix.cols} columns.")
    return matrix


def _inverse(value: Any) -> Any:
    matrix = _square(value)
    if matrix.det() == 0:
        raise Refusal("This matrix has no inverse: its determinant is 0.")
    return matrix.inv()


def _eigenvalues(value: Any) -> dict[Any, int]:
    matrix = _square(value)
    try:
        return dict(within(SOLVE, matrix.eigenvals))
    except TooLong:
        found: dict[Any, int] = {}
        for root, _ in _eigenpairs(matrix):
            found[root] = found.get(root, 0) + 1
        return found


def _eigenvectors(value: Any) -> list[Any]:
    """Each value with its vectors; decimals where the exact ones could not be read or do not come in time."""
    matrix = _square(value)
    if matrix.free_symbols:
        return [(root, vector) for root, _, vectors in matrix.eigenvects() for vector in vectors]
    try:
        values = within(SOLVE, matrix.eigenvals)
        if all(each.count_ops() <= READABLE_OPERATIONS for each in values):
            found = within(SOLVE, matrix.eigenvects)
            return [(root, vector) for root, _, vectors in found for vector in vectors]
    except TooLong:
        pass
    return _eigenpairs(matrix)


def _eigenpairs(matrix: Any) -> list[tuple[Any, Any]]:
    """Eigenvalues and vectors of length 1, to ten digits."""
    import mpmath
    import sympy as sp

    if matrix.free_symbols:
        raise Refusal("The eigenvalues of this matrix cannot be written down; put numbers for the letters.")
    roots, vectors = mpmath.eig(
        mpmath.matrix([[mpmath.mpmathify(sp.N(cell, 20)) for cell in row] for row in matrix.tolist()])
    )

    def tidy(number: Any) -> Any:
        return sp.sympify(mpmath.chop(number, tol=1e-12)).n(10)

    return [
        (tidy(root), sp.Matrix([tidy(vectors[row, place]) for row in range(matrix.rows)]))
        for place, root in enumerate(roots)
    ]


def solve_linear(left: Any, right: Any) -> Any:
    """The x with A*x = b as a column; where there are many, with the free unknowns as letters x1, x2, …"""
    import sympy as sp

    matrix, column = matrix_of(left), matrix_of(right)
    if column.rows == 1 and column.cols == matrix.rows:
        column = column.T
    if column.rows != matrix.rows:
        raise Refusal(f"A has {matrix.rows} rows and b has {column.rows}; they must be the same.")
    if column.cols != 1:
        return _inverse(matrix) * column
    unknowns = sp.symbols(f"x1:{matrix.cols + 1}")
    found = sp.linsolve((matrix, column), *unknowns)
    if found == sp.S.EmptySet:
        raise Refusal("There is no solution.")
    return sp.Matrix(list(next(iter(found))))


def _characteristic(value: Any, symbol: Any = None) -> Any:
    import sympy as sp

    return _square(value).charpoly(symbol if symbol is not None else sp.Symbol("lambda")).as_expr()


def _norm(value: Any) -> Any:
    return matrix_of(value).norm()


def _pair(name: str) -> Callable[[Any, Any], Any]:
    def call(a: Any, b: Any) -> Any:
        return getattr(matrix_of(a), name)(matrix_of(b))

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
    "Matrix": (matrix_of, 1, 1),
    "det": (lambda value: _square(value).det(), 1, 1),
    "inv": (_inverse, 1, 1),
    "transpose": (lambda value: matrix_of(value).T, 1, 1),
    "trace": (lambda value: _square(value).trace(), 1, 1),
    "rank": (lambda value: _rank(value), 1, 1),
    "eigenvals": (_eigenvalues, 1, 1),
    "eigenvects": (_eigenvectors, 1, 1),
    "linsolve": (solve_linear, 2, 2),
    "adjugate": (lambda value: _square(value).adjugate(), 1, 1),
    "nullspace": (lambda value: matrix_of(value).nullspace(), 1, 1),
    "rref": (lambda value: matrix_of(value).rref()[0], 1, 1),
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

    return sp.Integer(matrix_of(value).rank())
