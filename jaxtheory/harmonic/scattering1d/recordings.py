"""Recordings too long to transform at once: windows that overlap, in memory that does not grow."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic.scattering1d.banks import Bank, check_bank
from jaxtheory.harmonic.scattering1d.coefficients import scatter
from jaxtheory.harmonic.scattering1d.filters import LOW_WIDTH

REACH = 5.5
"""The standard deviations in time after which a path's envelope counts as over: a mass of 4e-8 is beyond."""


@record
class StreamState:
    """What a stream keeps of a recording: the samples that later coefficients depend on."""

    recent: Float[AnyArray, "... past"]
    """The latest samples, with those before the recording's start as its reflection."""


class Stream(NamedTuple):
    """A recording's transform, step by step, as pure functions."""

    init: Callable[[AnyArray], StreamState]
    """Makes a state of the first `head` samples, (..., head)."""
    step: Callable[[Bank, StreamState, AnyArray], tuple[StreamState, Array]]
    """Makes of the bank, a state and the next `block` samples, (..., block), the next state and the next
    coefficients, (..., C, block / stride)."""
    head: int
    """The number of samples that the state begins with, and that coefficients lag behind them."""
    block: int
    """The number of samples that a step takes."""


def stream(bank: Bank) -> Stream:
    """Return the transform of a recording of any length as a pair of functions, init and step.

    A step transforms a window, the samples that the state keeps and a block of new ones, and gives the
    coefficients so far from the window's ends that no filter reaches there: those at every stride-th sample
    from the recording's first on. They are those of the whole recording, as far as filters of its own grid
    are the same, up to a millionth.

    Args:
        bank: The filters of a window, from `filter_bank` with a periodic boundary and the window as its
            length: several times what the filters reach. The longer it is, the less is computed twice.

    Returns:
        The functions, and how many samples they take.

    Raises:
        TypeError: If `bank` is not a bank.
        ValueError: If the bank's boundary is not periodic, its averages are global, or its windows are no
            longer than what the filters reach.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.harmonic import scattering1d
        >>> bank = scattering1d.filter_bank(1024, J=3, boundary="periodic")
        >>> init, step, head, block = scattering1d.stream(bank)
        >>> x = np.sin(np.arange(head + block))
        >>> state, s = step(bank, init(x[:head]), x[head:])
        >>> block, s.shape
        (808, (8, 101))
    """
    margin = _margin(bank)
    head = margin + bank.stride
    block = bank.length - margin - head
    if block < bank.stride:
        raise ValueError(
            f"bank is for windows of {bank.length} samples: take {bank.length - block + bank.stride} "
            f"or more, as filters reach {margin} to either side"
        )
    return Stream(partial(_init, margin, head), partial(_step, margin, block), head, block)


def _margin(bank: Bank) -> int:
    """The number of samples on either side of a window on which the coefficients depend, in whole strides."""
    check_bank(bank)
    if bank.boundary != "periodic":
        raise ValueError(
            f"bank has the boundary {bank.boundary!r}: take one that filter_bank makes with "
            "boundary='periodic', as windows are not padded"
        )
    if bank.T == "global":
        raise ValueError("bank has T = 'global': take a number, as a stream has no end")
    # A coefficient moves by no more than the envelopes of its path, convolved, average of a change of signal.
    widths = [min(one.width for one in layer) for layer in bank.wavelets[: bank.order]]
    deviations = [1 / (2 * math.pi * width) for width in (*widths, LOW_WIDTH / bank.T)]
    return math.ceil(REACH * math.hypot(*deviations) / bank.stride) * bank.stride


def _init(margin: int, head: int, first: Real[AnyArray, "... head"]) -> StreamState:
    (first,), _ = real_arrays(first=first)
    checks.axes("first", first, "...", "head", sizes=(head,))
    before = jnp.flip(first[..., 1 : margin + 1], axis=-1)
    return StreamState(jnp.concatenate([before, first], axis=-1))


def _step(
    margin: int, block: int, bank: Bank, state: StreamState, new: Real[AnyArray, "... block"]
) -> tuple[StreamState, Array]:
    (recent, new), _ = real_arrays(recent=state.recent, new=new)
    checks.axes("new", new, "...", "block", sizes=(block,))
    seen = jnp.concatenate([recent, new], axis=-1)
    first = margin // bank.stride
    coefficients = scatter(bank, seen)[..., first : first + block // bank.stride]
    return StreamState(seen[..., block:]), coefficients


def scatter_recording(bank: Bank, blocks: Iterable[Real[AnyArray, "..."]]) -> Iterator[Float[Array, "..."]]:
    """Return the scattering coefficients of a recording that comes in blocks, as soon as they are known.

    The recording is reflected at its ends. Its coefficients are at every stride-th sample, from its first on;
    `scatter` gives the same where the samples that it pads before the signal are a multiple of the stride.

    Args:
        bank: The filters of a window, as `stream` takes them.
        blocks: Consecutive samples, (..., samples), in blocks of any lengths with the same leading axes.

    Returns:
        An iterator over consecutive coefficients, (..., C, n), some for each step of the stream and the rest
        at the end.

    Raises:
        TypeError: If `bank` is not a bank, or a block is complex or not an array of numbers.
        ValueError: If the bank is none for a stream, or the recording is shorter than a stream's head.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.harmonic import scattering1d
        >>> bank = scattering1d.filter_bank(1024, J=3, boundary="periodic")
        >>> blocks = (np.sin(np.arange(500) + 500 * k) for k in range(8))
        >>> sum(s.shape[-1] for s in scattering1d.scatter_recording(bank, blocks))
        500
    """
    return _scattered(bank, stream(bank), blocks)


def _scattered(bank: Bank, streamed: Stream, blocks: Iterable[AnyArray]) -> Iterator[Array]:
    init, step, head, block = streamed
    state, left, total, given = None, None, 0, 0
    for some in blocks:
        some = np.asarray(as_array("blocks", some))
        total += some.shape[-1]
        left = some if left is None else np.concatenate([left, some], axis=-1)
        if state is None and left.shape[-1] >= head:
            state, left = init(left[..., :head]), left[..., head:]
        while state is not None and left.shape[-1] >= block:
            state, coefficients = step(bank, state, left[..., :block])
            left = left[..., block:]
            given += coefficients.shape[-1]
            yield coefficients
    if state is None:
        raise ValueError(
            f"blocks hold {total} samples: take at least {head}, or scatter with a bank of that length"
        )
    # Beyond the recording's end lies its reflection, as far as the last coefficients depend on it.
    known = np.concatenate([state.recent, left], axis=-1)
    reflected = np.flip(known[..., -1 - head : -1], axis=-1)
    left = np.concatenate([left, reflected], axis=-1)
    missing = -(-total // bank.stride) - given
    steps = -(-missing * bank.stride // block)
    spare = max(0, steps * block - left.shape[-1])
    left = np.pad(left, [(0, 0)] * (left.ndim - 1) + [(0, spare)])
    for first in range(0, steps * block, block):
        state, coefficients = step(bank, state, left[..., first : first + block])
        yield coefficients[..., :missing]
        missing -= coefficients.shape[-1]
