"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, Precision

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "erf": jax.lax.erf,
    "sin": jnp.sin,
    "identity": lambda x: x,
}
"""The activations that have a name."""

Activation = str | Callable[[Any], Any]


def activation_function(activation: Activation) -> Callable[[Any], Any]:
    """Return the function of a named activation; a function is returned as it is.

    Args:
        activation: The name of an activation, a key of `ACTIVATIONS`, or a function from arrays to arrays of
            the same shape.

    Returns:
        The function.

    Raises:
        ValueError: If no activation has the name.

    Example:
        >>> activation_function("relu")(jax.numpy.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"activation is {activation!r}: take one of {known}, or a function")
    return ACTIVATIONS[activation]


def initializers(weight_variance: float, bias_variance: float) -> dict[str, Callable[..., Array]]:
    r"""Return Gaussian initializers, as keyword arguments of `nnx.Linear` and `nnx.Conv`.

    Weights are drawn from $N(0, \sigma_w^2 / n)$, with $n$ the number of inputs to a unit, and biases from
    $N(0, \sigma_b^2)$.

    Args:
        weight_variance: The variance $\sigma_w^2$, positive; 2 keeps the second moments constant through
            layers of ReLUs.
        bias_variance: The variance $\sigma_b^2$, at least 0.

    Returns:
        The initializers `kernel_init` and `bias_init`.

    Raises:
        ValueError: If a variance is out of range.

    Example:
        >>> float(initializers(2.0, 0.0)["kernel_init"](jax.random.key(0), (500, 500)).var() * 500)
        2.00

    References:
        Kaiming He, Xiangyu Zhang, Shaoqing Ren and Jian Sun, "Delving deep into rectifiers", 2015.
    """
    checks.positive("weight_variance", weight_variance, one=True)
    checks.nonnegative("bias_variance", bias_variance, one=True)
    return {
        "kernel_init": nnx.initializers.variance_scaling(weight_variance, "fan_in", "normal"),
        # Normal numbers of no spread would be zeros with a minus sign.
        "bias_init": nnx.initializers.normal(bias_variance**0.5) if bias_variance else nnx.initializers.zeros,
    }


class MLP(nnx.Module):
    r"""A multilayer perceptron, $x_{l+1} = \rho(x_l W_l + b_l)$, without activation after the last layer.

    `networks.functional(partial(MLP, (784, 300, 10)))` makes it a pair of pure functions, with parameters
    `{"layers": {"0": {"kernel", "bias"}, ...}}`.

    Args:
        features: The widths of all layers, at least two, that of the input first.
        rngs: The random streams from which the parameters are drawn.
        activation: The activation, a key of `ACTIVATIONS` or a function.
        bias: Whether there are biases.
        weight_variance: The variance $\sigma_w^2$: weights start as $N(0, \sigma_w^2 / n)$, with $n$ the
            number of inputs to a unit.
        bias_variance: The variance $\sigma_b^2$: biases start as $N(0, \sigma_b^2)$.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of matrix products; by default the device's, which accelerators round.

    Raises:
        TypeError: If a width is not a whole number.
        ValueError: If the activation is unknown, the widths are fewer than two, or a width is below 1.

    Example:
        >>> MLP((784, 300, 10), nnx.Rngs(0))(jax.numpy.ones((5, 784))).shape
        (5, 10)
    """

    def __init__(
        self,
        features: Sequence[int],
        rngs: nnx.Rngs,
        *,
        activation: Activation = "relu",
        bias: bool = True,
        weight_variance: float = 2.0,
        bias_variance: float = 0.0,
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        self.features = checks.counts("features", features, each="layer")
        if len(self.features) < 2:
            raise ValueError(f"features are {self.features}: take at least two, the width of the input first")
        self.activation = activation_function(activation)
        self.layers = nnx.List(
            nnx.Linear(
                fan_in,
                fan_out,
                use_bias=bias,
                param_dtype=jnp.result_type(dtype or float),
                precision=precision,
                rngs=rngs,
                **initializers(weight_variance, bias_variance),
            )
            for fan_in, fan_out in pairwise(self.features)
        )

    def __call__(self, x: Real[AnyArray, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        """Return the outputs of the network.

        Args:
            x: The inputs, whose last axis is the first width.

        Returns:
            The outputs, whose last axis is the last width.

        Raises:
            TypeError: If the inputs are not an array of numbers.
            ValueError: If the last axis of `x` is not the first width.
        """
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", "features", sizes=self.features[:1])
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
