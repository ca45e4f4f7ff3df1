"""Arrays of floats, and work on many rows done in pieces, on all cores."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PIECE = 8192  # smaller ones fit the cache better, but threads then wait for the interpreter's lock
CORES = os.cpu_count() or 1

T = TypeVar("T")


def floats(*values: ArrayLike) -> tuple[Floats, ...]:
    """The values as float arrays of one common, one-dimensional shape."""
    first = values[0]
    if isinstance(first, np.ndarray) and first.ndim == 1 and all(_is_alike(v, first) for v in values):
        return values  # type: ignore[return-value]  # as it mostly is, and the rest costs ten times the look
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values))
    return tuple(np.ascontiguousarray(array) for array in arrays)


def _is_alike(value: ArrayLike, first: NDArray[Any]) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.float64
        and value.shape == first.shape
        and value.flags.c_contiguous
    )


def in_pieces(work: Callable[[slice], T], rows: int) -> list[T]:
    """`work` done on slices of the rows; the results in order, so that sums do not depend on the threads."""
    slices = [slice(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE)]
    if CORES == 1 or len(slices) < 4 * CORES:
        return [work(piece) for piece in slices]
    with ThreadPoolExecutor(CORES) as pool:  # numpy lets go of the interpreter's lock inside its loops
        return list(pool.map(work, slices))


def joined(pieces: list[Floats]) -> Floats:
    """The pieces as one array."""
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0)


def weighed(weights: Floats, rows: Floats) -> Floats:
    """Σ weight_i · rows_i, of one column to the last bit what it is among many.

    Not `@`: BLAS starts threads of its own, in the way of ours.
    """
    if rows.shape[1:] == (1,):  # which einsum would add up in another order
        return np.cumsum(weights * rows[:, 0])[-1:]
    return np.asarray(np.einsum("i,i...->...", weights, rows))
