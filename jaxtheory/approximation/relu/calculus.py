"""Calculus on networks: what is built of networks is a plain network, and its size is that of its parts.

All of it happens in NumPy and in double precision: a network is made once and applied often.
"""

from collections.abc import Sequence

import numpy as np

from jaxtheory.approximation.relu.network import Network, Numbers, double
from jaxtheory.core import checks


def affine(kernel: Numbers, bias: Numbers | None = None) -> Network:
    r"""Return the affine map $x \mapsto x W + b$ as a network without hidden layers.

    Args:
        kernel: The matrix $W$, `(inputs, outputs)`.
        bias: The bias $b$, `(outputs,)`; by default zero.

    Returns:
        The network.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.size(relu.affine(np.eye(3)))
        Size(layers=1, neurons=0, weights=3)
    """
    kernel = double(kernel)
    checks.axes("kernel", kernel, "inputs", "outputs")
    bias = np.zeros(kernel.shape[1]) if bias is None else double(bias)
    return Network((kernel,), (bias,), error=0.0)


def identity(width: int, layers: int = 1) -> Network:
    r"""Return the identity as a network of any depth, by $x = \sigma(x) - \sigma(-x)$.

    Args:
        width: The number of inputs, at least 1.
        layers: The number of affine maps, at least 1; each hidden layer has twice as many neurons as there
            are inputs.

    Returns:
        The network.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.identity(1, layers=3).widths
        (1, 2, 2, 1)
    """
    eye = np.eye(checks.count("width", width))
    if checks.count("layers", layers) == 1:
        return affine(eye)
    split = np.concatenate([eye, -eye], axis=1)
    kernels = (split, *[np.eye(2 * width)] * (layers - 2), split.T)
    return Network(kernels, tuple(np.zeros(kernel.shape[1]) for kernel in kernels), error=0.0)


def compose(outer: Network, inner: Network) -> Network:
    """Return the network of one function after another.

    The last affine map of the inner network and the first of the outer one become one map, so that no hidden
    layer is added.

    Args:
        outer: The network that is applied last.
        inner: The network that is applied first.

    Returns:
        The network of `outer(inner(x))`. Its error is certified where the outer network is affine and exact,
        by its matrix, or where the inner one is exact.

    Raises:
        ValueError: If the outer network takes another number of inputs than the inner one gives.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> fourth_power = relu.compose(relu.square(3), relu.square(3))
        >>> relu.size(fourth_power).neurons
        18
    """
    if outer.widths[0] != inner.widths[-1]:
        raise ValueError(
            f"outer takes {outer.widths[0]} inputs, but inner gives {inner.widths[-1]} outputs: "
            "take networks that chain"
        )
    first, last = double(outer.kernels[0]), double(inner.kernels[-1])
    kernels = (*inner.kernels[:-1], last @ first, *outer.kernels[1:])
    merged = double(inner.biases[-1]) @ first + double(outer.biases[0])
    error = None
    if inner.error == 0:
        error = outer.error
    elif inner.error is not None and outer.error == 0 and len(outer.kernels) == 1:
        error = inner.error * float(np.abs(first).sum(0).max())
    return Network(kernels, (*inner.biases[:-1], merged, *outer.biases[1:]), error=error)


def pad(network: Network, layers: int) -> Network:
    """Return the same function by a deeper network: the identity is appended.

    Args:
        network: The network.
        layers: The number of affine maps, at least the network's own.

    Returns:
        The network, with twice as many neurons as outputs in each layer that was added.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If the network has more affine maps already.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.pad(relu.square(1), 4).widths
        (1, 3, 2, 2, 1)
    """
    own = len(network.kernels)
    checks.count("layers", layers, least=own)
    padded = compose(identity(network.widths[-1], layers - own + 1), network)
    return Network(padded.kernels, padded.biases, error=network.error)


def parallel(*networks: Network, shared: bool = False) -> Network:
    """Return the networks side by side, with their outputs one after the other.

    Args:
        *networks: The networks, at least one; shallower ones are padded by the identity.
        shared: Whether all of them see the same inputs, rather than each its own part of them.

    Returns:
        The network. Its error, where all are certified, is the largest of theirs.

    Raises:
        TypeError: If `shared` is not a truth value.
        ValueError: If there is no network, or they share inputs of different numbers.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.parallel(relu.square(2), relu.identity(1)).widths
        (2, 5, 5, 2)
    """
    shared = checks.flag("shared", shared)
    _alike(networks, "inputs" if shared else "")
    depth = max(len(one.kernels) for one in networks)
    padded = [pad(one, depth) for one in networks]
    kernels = [_blocks([double(one.kernels[layer]) for one in padded]) for layer in range(depth)]
    if shared:
        kernels[0] = np.concatenate([double(one.kernels[0]) for one in padded], axis=1)
    biases = [np.concatenate([double(one.biases[layer]) for one in padded]) for layer in range(depth)]
    errors = [one.error for one in networks]
    return Network(tuple(kernels), tuple(biases), error=None if None in errors else max(errors))


def add(*networks: Network, coefficients: Numbers | None = None) -> Network:
    r"""Return the sum $\sum_i c_i f_i(x)$ of networks of the same inputs and outputs.

    Args:
        *networks: The networks, at least one; shallower ones are padded by the identity.
        coefficients: The numbers $c_i$, one for each network; by default ones.

    Returns:
        The network. Its error, where all are certified, is $\sum_i |c_i| \epsilon_i$.

    Raises:
        ValueError: If the networks differ in their inputs or outputs, or there is not one coefficient each.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.add(relu.square(2), relu.identity(1), coefficients=(4, -1)), np.float32([0.5]))
        Array([0.5], dtype=float32)
    """
    _alike(networks, "inputs", "outputs")
    factors = np.ones(len(networks)) if coefficients is None else double(coefficients)
    if factors.shape != (len(networks),):
        raise ValueError(f"coefficients has the shape {factors.shape}: take ({len(networks)},), one each")
    outputs = networks[0].widths[-1]
    total = np.concatenate([factor * np.eye(outputs) for factor in factors])
    summed = compose(affine(total), parallel(*networks, shared=True))
    errors = [one.error for one in networks]
    error = None if None in errors else float(np.abs(factors) @ double(errors))
    return Network(summed.kernels, summed.biases, error=error)


def _alike(networks: Sequence[Network], *sides: str) -> None:
    """Refuses no network, and networks whose numbers of inputs or outputs differ where they must agree."""
    if not networks:
        raise ValueError("networks holds none: take at least one")
    for side, place in (("inputs", 0), ("outputs", -1)):
        found = [one.widths[place] for one in networks]
        if side in sides and len(set(found)) > 1:
            raise ValueError(f"networks have {', '.join(map(str, found))} {side}: take as many for each")


def _blocks(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The block-diagonal matrix."""
    rows, columns = (sum(one.shape[axis] for one in matrices) for axis in (0, 1))
    whole = np.zeros((rows, columns))
    row = column = 0
    for one in matrices:
        whole[row : row + one.shape[0], column : column + one.shape[1]] = one
        row, column = row + one.shape[0], column + one.shape[1]
    return whole
