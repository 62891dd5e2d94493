"""ReLU networks as parameters: what they are, how they are applied and counted."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray

Layers = tuple[Real[AnyArray, "..."], ...]
"""An array for each affine map."""

Numbers = Real[AnyArray, "..."] | Sequence[Any]
"""An array, or a sequence of what makes one."""


@record
class Network:
    r"""A plain ReLU network $x \mapsto \sigma(\dots \sigma(x W_1 + b_1) \dots) W_L + b_L$.

    There is no activation after the last affine map, and no connection skips a layer: it is a multilayer
    perceptron, whose kernels have the shape `(inputs, outputs)`.

    Raises:
        TypeError: If a kernel or a bias is not an array of real numbers.
        ValueError: If the shapes do not chain.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> absolute = relu.Network((np.array([[1.0, -1.0]]), np.ones((2, 1))), (np.zeros(2), np.zeros(1)))
        >>> relu.apply(absolute, np.float32([-3.0]))
        Array([3.], dtype=float32)
    """

    kernels: Layers
    """The matrices of the affine maps, `(inputs, outputs)` each."""
    biases: Layers
    """Their biases, `(outputs,)` each."""
    error: float | None = static(default=None)
    """The certified supremum, over the domain, of the distance from the function that the network stands for,
    in exact arithmetic: 0 for what is exact; None where nothing is certified."""

    def __post_init__(self):
        for name in ("kernels", "biases"):
            arrays = tuple(as_array(name, one) for one in getattr(self, name))
            if any(jnp.issubdtype(one.dtype, jnp.complexfloating) for one in arrays):
                raise TypeError(f"{name} holds complex numbers: take real ones")
            object.__setattr__(self, name, arrays)
        if not self.kernels or len(self.kernels) != len(self.biases):
            raise ValueError(
                f"biases holds {len(self.biases)} for {len(self.kernels)} kernels: take one for each kernel, "
                "and at least one of both"
            )
        before = None
        for place, (kernel, bias) in enumerate(zip(self.kernels, self.biases)):
            checks.axes(f"kernels[{place}]", kernel, "inputs", "outputs", sizes=(before, None))
            before = kernel.shape[1]
            checks.axes(f"biases[{place}]", bias, "outputs", sizes=(before,))

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of all layers: of the input, of the hidden layers and of the output."""
        return (self.kernels[0].shape[0], *(kernel.shape[1] for kernel in self.kernels))


class Size(NamedTuple):
    """What a network costs."""

    layers: int
    """The number of affine maps: one more than hidden layers."""
    neurons: int
    """The number of neurons of the hidden layers."""
    weights: int
    """The number of weights and biases that are not zero."""


def apply(network: Network, x: Real[AnyArray, "... inputs"]) -> Float[Array, "... outputs"]:
    r"""Return the outputs of a network, $\sigma(\dots \sigma(x W_1 + b_1) \dots) W_L + b_L$.

    Args:
        network: The network; where x64 is off, its weights are rounded to single precision.
        x: The inputs, whose last axis is the first width of the network.

    Returns:
        The outputs, whose last axis is the last width.

    Raises:
        TypeError: If the inputs are not real numbers.
        ValueError: If the last axis of `x` is not the first width.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.square(3), np.float32([[0.25], [0.5]]))
        Array([[0.0625],
               [0.25  ]], dtype=float32)
    """
    (network, x), back = real_arrays(network=network, x=x)
    checks.axes("x", x, "...", "inputs", sizes=network.widths[:1])
    return back(_applied(network, x))


@jax.jit
def _applied(network: Network, x: Array) -> Array:
    """The outputs, in the dtype of both."""
    *hidden, last = zip(network.kernels, network.biases)
    for kernel, bias in hidden:
        x = jax.nn.relu(matmul(x, kernel) + bias)
    return matmul(x, last[0]) + last[1]


def size(network: Network) -> Size:
    """Count the layers, neurons and nonzero weights of a network.

    Args:
        network: The network.

    Returns:
        The counts: affine maps, neurons of hidden layers, and weights and biases that are not zero.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.size(relu.sawtooth(5))
        Size(layers=6, neurons=10, weights=25)

    References:
        Petersen and Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU neural
        networks, 2018.
    """
    weights = sum(int(np.count_nonzero(np.asarray(one))) for one in (*network.kernels, *network.biases))
    return Size(len(network.kernels), sum(network.widths[1:-1]), weights)


def from_mlp(params: Mapping[str, Any]) -> Network:
    """Return the parameters of `networks.mlp.MLP` as a network.

    Args:
        params: The parameters `{"layers": {"0": {"kernel", "bias"}, ...}}`; a layer without a bias has zeros.

    Returns:
        The network, in the dtype of the parameters.

    Raises:
        ValueError: If the parameters are others.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.from_mlp({"layers": {"0": {"kernel": np.eye(2), "bias": np.ones(2)}}}).widths
        (2, 2)
    """
    layers = params.get("layers") if isinstance(params, Mapping) else None
    if not isinstance(layers, Mapping) or not all(
        str(place) in layers and "kernel" in layers[str(place)] for place in range(len(layers))
    ):
        raise ValueError('params are others than an MLP\'s: take {"layers": {"0": {"kernel", "bias"}, ...}}')
    found = [layers[str(place)] for place in range(len(layers))]
    return Network(
        tuple(layer["kernel"] for layer in found),
        tuple(layer.get("bias", np.zeros(np.shape(layer["kernel"])[1])) for layer in found),
    )


def to_mlp(network: Network) -> dict[str, Any]:
    """Return a network as the parameters of `networks.mlp.MLP`.

    Args:
        network: The network.

    Returns:
        The parameters `{"layers": {"0": {"kernel", "bias"}, ...}}`, for a module of the network's widths.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> sorted(relu.to_mlp(relu.square(2))["layers"])
        ['0', '1', '2']
    """
    pairs = enumerate(zip(network.kernels, network.biases))
    return {"layers": {str(place): {"kernel": kernel, "bias": bias} for place, (kernel, bias) in pairs}}


def expressible(name: str, levels: Any) -> int:
    r"""Refuse a number $m$ of sawtooth functions whose accuracy $4^{-m-1}$ is below the dtype's rounding.

    Args:
        name: The parameter's name, for the error.
        levels: The number.

    Returns:
        The number as Python's.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1, or the accuracy cannot be expressed in JAX's default floating dtype.
    """
    levels = checks.count(name, levels)
    dtype = jnp.result_type(float)
    most = -np.finfo(dtype).machep // 2 - 1
    if levels > most:
        remedy = ' or turn on x64: jax.config.update("jax_enable_x64", True)' if dtype == np.float32 else ""
        raise ValueError(
            f"{name} is {levels}: the accuracy 2**{-2 * levels - 2} cannot be expressed in {dtype}: take at "
            f"most {most}{',' if remedy else ''}{remedy}"
        )
    return levels


def double(values: Any) -> np.ndarray:
    """Return an array in the precision in which networks are constructed."""
    return np.asarray(values, np.float64)
