"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

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
    """The function of a named activation; a function is returned as it is.

    Args:
        activation: A key of `ACTIVATIONS`, or a function from arrays to arrays of the same shape.

    Returns:
        The function.

    Raises:
        ValueError: For a name that is unknown.

    Example:
        >>> activation_function("relu")(jax.numpy.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"the activation {activation!r} is unknown: take one of {known}, or give a function")
    return ACTIVATIONS[activation]


def initialisers(weight_variance: float, bias_variance: float) -> dict[str, Callable[..., Array]]:
    r"""Gaussian initialisers, as keyword arguments of `nnx.Linear` and `nnx.Conv`.

    Weights are drawn from $N(0, \sigma_w^2 / n)$, with $n$ the number of inputs to a unit, and biases from
    $N(0, \sigma_b^2)$.

    Args:
        weight_variance: $\sigma_w^2 > 0$; 2 keeps the second moments constant through layers of ReLUs.
        bias_variance: $\sigma_b^2 \ge 0$.

    Returns:
        `kernel_init` and `bias_init`.

    Raises:
        ValueError: For variances out of range.

    Example:
        >>> float(initialisers(2.0, 0.0)["kernel_init"](jax.random.key(0), (500, 500)).var() * 500)
        2.00

    References:
        He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
    """
    if not weight_variance > 0 or not bias_variance >= 0:
        raise ValueError(
            f"variances are positive (0 for biases too), got {weight_variance} and {bias_variance}"
        )
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
        features: The widths of all layers, the input's first.
        rngs: Where the parameters are drawn from.
        activation: A key of `ACTIVATIONS`, or a function.
        bias: Whether there are biases.
        weight_variance: Weights start as $N(0, \sigma_w^2 / n)$, with $n$ the number of inputs to a unit.
        bias_variance: Biases start as $N(0, \sigma_b^2)$.
        dtype: Of the parameters: by default JAX's, float64 where x64 is on.
        precision: Of matrix products: by default the device's, which accelerators round.

    Raises:
        ValueError: For an unknown activation, fewer than two widths, or widths below 1.

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
        precision: Any = None,
    ):
        if len(features) < 2 or min(features) < 1:
            raise ValueError(
                f"features are the widths of input and layers, at least two of 1 or more, got {features}"
            )
        self.features = tuple(features)
        self.activation = activation_function(activation)
        self.layers = nnx.List(
            nnx.Linear(
                fan_in,
                fan_out,
                use_bias=bias,
                param_dtype=jnp.result_type(dtype or float),
                precision=precision,
                rngs=rngs,
                **initialisers(weight_variance, bias_variance),
            )
            for fan_in, fan_out in pairwise(features)
        )

    def __call__(
        self, x: Float[Array, "*batch inputs"] | Float[np.ndarray, "*batch inputs"]
    ) -> Float[Array, "*batch outputs"]:
        """The outputs, shape `(..., features[-1])`, of inputs of shape `(..., features[0])`.

        Raises:
            ValueError: If the last axis of `x` is not the input's width.
        """
        if jnp.shape(x)[-1:] != self.features[:1]:
            needed = f"(..., {self.features[0]})"
            raise ValueError(f"this network takes inputs of shape {needed}, got {jnp.shape(x)}: reshape them")
        x = jnp.asarray(x)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
