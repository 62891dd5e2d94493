"""Linear systems and programs of whole numbers, solved in rationals: what makes a certificate a proof.

A solver in floating point says which unknowns are above zero; here their values are found exactly, by
p-adic lifting, and where its guess was wrong, by a simplex method in whole numbers of any length.
"""

import math
from fractions import Fraction

import numpy as np
from jaxtyping import Integer

PRIME = 67_108_859
"""The largest prime below 2^26: products of two numbers below it are summed 2,048 at a time."""
TERMS = 2048
"""The number of products below 2^52 that int64 can sum."""


def solve(
    matrix: Integer[np.ndarray, "rows columns"], target: Integer[np.ndarray, " rows"]
) -> list[Fraction]:
    """Solve a linear system of whole numbers in rationals, by p-adic lifting.

    Args:
        matrix: The matrix; its columns are linearly independent, also modulo the prime 67,108,859.
        target: The right-hand side.

    Returns:
        The solution; an empty list where there is none, or the columns are dependent.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import rationals
        >>> [str(one) for one in rationals.solve(np.array([[2, 1], [1, -1]]), np.array([1, 1]))]
        ['2/3', '-1/3']

    References:
        John Dixon, "Exact solution of linear equations using p-adic expansions", 1982.
    """
    matrix, target = _whole(matrix), _whole(target)
    size = matrix.shape[1]
    rows, inverse = _inverse(matrix % PRIME)
    if len(rows) < size:
        return []
    square = matrix[rows]
    # Cramer's rule and Hadamard's bound: numerators and denominators are at most this.
    lengths = [math.isqrt(sum(int(one) ** 2 for one in column)) + 1 for column in square.T]
    longest = math.isqrt(sum(int(one) ** 2 for one in target[rows])) + 1
    bound = math.prod(max(length, 1) for length in lengths) * longest
    left = target[rows].astype(object)
    exact = square if square.dtype == object or np.abs(square).max() < PRIME else square.astype(object)
    solution, power = np.zeros(size, object), 1
    while power <= 2 * bound * bound:
        digit = _times(inverse, (left % PRIME).astype(np.int64))
        left = (left - exact @ digit) // PRIME
        solution, power = solution + digit.astype(object) * power, power * PRIME
    found = _reconstructed(solution, power, bound)
    if not found:
        return []
    common, numerators = found
    fits = matrix.astype(object) @ numerators == target.astype(object) * common
    return [Fraction(int(one), common) for one in numerators] if np.all(fits) else []


def nonnegative(
    matrix: Integer[np.ndarray, "rows columns"], target: Integer[np.ndarray, " rows"]
) -> tuple[list[Fraction], list[Fraction]]:
    r"""Find $x \ge 0$ with $A x = b$, or by Farkas' lemma $u$ with $u A \le 0$ and $u \cdot b > 0$.

    The first phase of the simplex method by Bland's rule, which does not cycle, in whole numbers: of use for
    some dozens of rows and columns.

    Args:
        matrix: The matrix $A$.
        target: The right-hand side $b$, of numbers of 0 or more.

    Returns:
        $x$ and an empty list, or an empty list and $u$.

    Raises:
        ValueError: If a number of the right-hand side is below 0.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import rationals
        >>> found, proof = rationals.nonnegative(np.array([[3, -1]]), np.array([2]))
        >>> [str(one) for one in found], proof
        (['2/3', '0'], [])

    References:
        Robert Bland, "New finite pivoting rules for the simplex method", 1977.
    """
    matrix, target = _whole(matrix).astype(object), _whole(target).astype(object)
    if (target < 0).any():
        raise ValueError(f"target holds {min(target)}: take numbers of 0 or more, as rows times -1")
    rows, columns = matrix.shape
    table = np.concatenate([matrix, np.eye(rows, dtype=int).astype(object), target[:, None]], axis=1)
    # The last row is the cost of the artificial unknowns, whose sum is to become zero.
    cost = -table.sum(0)
    cost[columns : columns + rows] = 0
    table = np.concatenate([table, cost[None]])
    basis, before = list(range(columns, columns + rows)), 1
    while len(falls := np.flatnonzero(table[-1, :columns] < 0)):
        enters = int(falls[0])
        above = [row for row in range(rows) if table[row, enters] > 0]
        leaves = min(above, key=lambda row: (Fraction(table[row, -1], table[row, enters]), basis[row]))
        pivot, column = table[leaves, enters], table[:, enters].copy()
        column[leaves] = 0
        kept = table[leaves].copy()
        table = (table * pivot - column[:, None] * kept) // before
        table[leaves] = kept
        basis[leaves], before = enters, pivot
    if table[-1, -1] < 0:
        # The reduced cost of the artificial unknown of row k is 1 - u_k.
        return [], [1 - Fraction(int(one), int(before)) for one in table[-1, columns : columns + rows]]
    found = [Fraction(0)] * columns
    for row, place in enumerate(basis):
        if place < columns:
            found[place] = Fraction(int(table[row, -1]), int(before))
    return found, []


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers in 64 bits, or as Python's where they do not fit or were given as such."""
    return numbers if numbers.dtype == object else numbers.astype(np.int64)


def _eliminated(table: np.ndarray, columns: int, *, everywhere: bool) -> list[int]:
    """The rows of the pivots of the first columns, which are cleared modulo the prime, in place.

    Args:
        table: The table.
        columns: The number of columns.
        everywhere: Whether a column is cleared in the rows of earlier pivots, too.

    Returns:
        The rows, fewer where the columns are dependent.
    """
    pivots: list[int] = []
    for column in range(columns):
        free = table[:, column] != 0
        cleared = free.copy()
        free[pivots] = False
        if not free.any():
            break
        row = int(np.argmax(free))
        cleared = cleared if everywhere else free
        cleared[row] = False
        table[row, column:] = table[row, column:] * pow(int(table[row, column]), -1, PRIME) % PRIME
        moved = np.flatnonzero(cleared)
        products = table[moved, column, None] * table[row, column:]
        table[moved, column:] = (table[moved, column:] - products) % PRIME
        pivots.append(row)
    return pivots


def _inverse(matrix: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Rows that are linearly independent modulo the prime, and the inverse of the square that they make."""
    matrix = matrix.astype(np.int64)
    size = matrix.shape[1]
    rows = _eliminated(matrix.copy(), size, everywhere=False)
    if len(rows) < size:
        return rows, matrix
    table = np.concatenate([matrix[rows], np.eye(size, dtype=np.int64)], axis=1)
    order = _eliminated(table, size, everywhere=True)
    return rows, table[order, size:]


def _times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A matrix times a vector modulo the prime."""
    parts = range(0, len(vector), TERMS)
    products = [matrix[:, part : part + TERMS] @ vector[part : part + TERMS] % PRIME for part in parts]
    return np.sum(products, axis=0) % PRIME


def _reconstructed(residues: np.ndarray, power: int, bound: int) -> tuple[int, np.ndarray] | None:
    """The common denominator and the numerators of rational numbers from their residues."""
    common = 1
    numerators: list[int] = []
    for residue in residues:
        value = int(residue) * common % power
        if min(value, power - value) > bound:
            # Euclid's algorithm, stopped where the numerator is small enough.
            before, last, factor = power, 0, 1
            while value > bound:
                quotient = before // value
                before, value = value, before - quotient * value
                last, factor = factor, last - quotient * factor
            if abs(factor) > bound:
                return None
            common *= abs(factor)
            numerators = [abs(factor) * one for one in numerators]
            value = value if factor > 0 else -value
        elif value > bound:
            value -= power
        numerators.append(value)
    return common, np.array(numerators, object)
