"""Convolutions by platform against SciPy's correlation, and against XLA's with its derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from flax import nnx
from jax import lax

from jaxtheory.networks import convolution


def correlated(x, kernel, strides, pads, groups):
    """One image by SciPy, a pair of channels at a time."""
    padded = np.pad(x, (*pads, (0, 0)))
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    maps = [
        sum(
            scipy.signal.correlate(padded[..., d // outputs * inputs + c], kernel[..., c, d], "valid")
            for c in range(inputs)
        )
        for d in range(groups * outputs)
    ]
    return np.stack(maps, -1)[:: strides[0], :: strides[1]]


@pytest.mark.parametrize(
    ("sides", "strides", "padding", "pads", "groups", "outputs"),
    [
        ((3, 3), 1, "SAME", ((1, 1), (1, 1)), 1, 5),
        ((4, 3), (2, 1), "SAME", ((1, 2), (1, 1)), 1, 5),
        ((2, 5), (3, 2), "VALID", ((0, 0), (0, 0)), 1, 5),
        ((1, 1), 2, ((0, 0), (2, 1)), ((0, 0), (2, 1)), 1, 5),
        ((3, 3), 2, ((0, 1), (1, 0)), ((0, 1), (1, 0)), 4, 8),
        ((3, 2), 1, "SAME", ((1, 1), (0, 1)), 4, 4),
        ((3, 3), 1, "VALID", ((0, 0), (0, 0)), 2, 6),
    ],
)
def test_maps_are_correlations(sides, strides, padding, pads, groups, outputs, rng, x64):
    x = rng.standard_normal((2, 1, 9, 8, 4))
    kernel = rng.standard_normal((*sides, 4 // groups, outputs))
    found = jax.jit(partial(convolution.convolve, strides=strides, padding=padding, groups=groups))(x, kernel)
    steps = (strides,) * 2 if isinstance(strides, int) else strides
    expected = [[correlated(one, kernel, steps, pads, groups) for one in row] for row in x]
    np.testing.assert_allclose(found, np.array(expected), atol=1e-12)


@pytest.mark.parametrize("groups", [1, 4])
def test_derivatives_are_those_of_xla(groups, rng, x64):
    x, kernel = rng.standard_normal((3, 6, 6, 4)), rng.standard_normal((3, 3, 4 // groups, 4))
    options = {"window_strides": (2, 1), "padding": "SAME", "feature_group_count": groups}

    def curved(convolve, x, kernel):
        return jnp.sum(jnp.sin(convolve(x, kernel, dimension_numbers=convolution.AXES, **options)))

    ours, xla = (
        jax.jit(jax.value_and_grad(partial(curved, one), argnums=(0, 1)))(x, kernel)
        for one in (convolution.general_dilated, lax.conv_general_dilated)
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), ours, xla)


@pytest.mark.parametrize("groups", [1, 3])
def test_the_platform_chooses(groups):
    """On processors no derivative is a convolution, elsewhere each is one."""
    gradient = jax.jit(
        jax.grad(lambda x, kernel: convolution.convolve(x, kernel, groups=groups).sum(), (0, 1))
    )
    lowered = gradient.trace(jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3 // groups, 3)))
    counts = {
        name: lowered.lower(lowering_platforms=(name,)).as_text().count("stablehlo.convolution")
        for name in ("cpu", "tpu")
    }
    assert counts == {"cpu": 0, "tpu": 2}


def test_layers_of_flax_take_it(rng):
    x = jnp.float32(rng.standard_normal((2, 9, 9, 2)))
    for options in ({}, {"strides": (2, 2)}, {"padding": "CIRCULAR"}, {"kernel_dilation": (2, 2)}):
        plain = nnx.Conv(2, 4, (3, 3), rngs=nnx.Rngs(0), **options)
        ours = nnx.Conv(
            2, 4, (3, 3), rngs=nnx.Rngs(0), conv_general_dilated=convolution.general_dilated, **options
        )
        np.testing.assert_allclose(ours(x), plain(x), atol=2e-6)


def test_bad_input():
    x, kernel = jnp.ones((5, 5, 4)), jnp.ones((3, 3, 4, 2))
    with pytest.raises(ValueError, match=r"kernel has the shape \(3, 3, 4, 2\): take 4 channels divided by"):
        convolution.convolve(x, kernel, groups=2)
    with pytest.raises(ValueError, match=r"kernel has the shape .* a multiple of the groups as outputs"):
        convolution.convolve(x, jnp.ones((3, 3, 1, 6)), groups=4)
    with pytest.raises(ValueError, match="x has images of 2 x 5 pixels: take larger ones, smaller kernels"):
        convolution.convolve(x[:2], kernel, padding="VALID")
    with pytest.raises(ValueError, match="strides is 0: take a whole number at least 1"):
        convolution.convolve(x, kernel, strides=0)
    with pytest.raises(ValueError, match=r"padding is .*: take \"SAME\", \"VALID\", or two pairs"):
        convolution.convolve(x, kernel, padding=((0, -1), (0, 0)))
    with pytest.raises(ValueError, match="padding is 'FULL'"):
        convolution.convolve(x, kernel, padding="FULL")
