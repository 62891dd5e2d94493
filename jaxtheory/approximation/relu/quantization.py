"""Weights of finitely many bits."""

from typing import NamedTuple

import numpy as np

from jaxtheory.approximation.relu.network import Network, double
from jaxtheory.core import checks


class Quantized(NamedTuple):
    """A network whose weights are multiples of a power of two."""

    network: Network
    """The network."""
    bits: int
    """The number of bits of each weight: its sign, and what the largest weight needs."""
    change: float
    """The largest absolute change of a weight."""


def quantize(network: Network, places: int) -> Quantized:
    r"""Round all weights to multiples of $2^{-p}$.

    This is the quantization of the theorems on networks of finite description: with
    $p = s \lceil \log_2 1/\epsilon \rceil$ and weights of at most $\epsilon^{-s}$, weights are
    $(s, \epsilon)$-quantized and have $O(\log 1/\epsilon)$ bits. The square and the sawtooth are unchanged
    from $p = 2m$ on.

    Args:
        network: The network.
        places: The number $p$ of binary places, at least 0.

    Returns:
        The network, the number of bits of a weight and the largest change of one.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If the number is negative.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.quantize(relu.square(3), 6)[1:], relu.quantize(relu.square(3), 2)[1:]
        ((10, 0.0), (6, 0.125))

    References:
        Petersen and Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU neural
        networks, 2018.
    """
    grid = 2.0 ** checks.count("places", places, least=0)
    given = [[double(one) for one in arrays] for arrays in (network.kernels, network.biases)]
    counts = [[np.rint(one * grid) for one in arrays] for arrays in given]
    rounded = [tuple(one / grid for one in arrays) for arrays in counts]
    largest = max(float(np.abs(one).max(initial=0)) for arrays in counts for one in arrays)
    change = max(
        float(np.abs(after - before).max(initial=0))
        for pair in zip(rounded, given)
        for after, before in zip(*pair)
    )
    error = network.error if change == 0 else None
    return Quantized(Network(*rounded, error=error), 1 + int(largest).bit_length(), change)
