"""The convolutional network against SciPy's correlation, written out."""

from functools import partial

import jax
import numpy as np
import pytest
import scipy.signal
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks.cnn import CNN


def correlated(image, kernel, boundary, stride):
    """(H, W, C) with (k, k, C, D), by SciPy: the network's border made by hand, then `mode="valid"`."""
    size = kernel.shape[0]
    if boundary is None:
        before = after = 0
    elif boundary in ("periodic", "reflect") or stride == 1:
        before, after = (size - 1) // 2, size // 2
    else:  # with strides XLA pads so that the last kernel fits, the odd pixel at the end
        height = image.shape[0]
        total = max((-(-height // stride) - 1) * stride + size - height, 0)
        before, after = total // 2, total - total // 2
    mode = {"periodic": "wrap", "reflect": "reflect"}.get(boundary, "constant")
    padded = np.pad(image, ((before, after), (before, after), (0, 0)), mode=mode)
    full = [
        sum(
            scipy.signal.correlate(padded[..., c], kernel[..., c, d], mode="valid")
            for c in range(image.shape[-1])
        )
        for d in range(kernel.shape[-1])
    ]
    return np.stack(full, -1)[::stride, ::stride]


def pooled(maps, window, reduce):
    height, width = (size // window for size in maps.shape[:2])
    blocks = maps[: height * window, : width * window].reshape(height, window, width, window, -1)
    return reduce(blocks, axis=(1, 3))


@pytest.mark.parametrize(
    ("boundary", "kernel_size", "strides", "window", "pooling"),
    [
        ("zero", 3, 1, 2, "max"),
        (None, (5, 2), 1, (2, 1), "average"),
        ("periodic", 3, 1, 1, "max"),
        ("reflect", 3, 1, 2, "max"),
        ("zero", (3, 4), (2, 1), (1, 3), "average"),
    ],
)
def test_forward_is_correlation(boundary, kernel_size, strides, window, pooling, rng, x64):
    make = partial(
        CNN,
        (12, 12, 2),
        (3, 4),
        head=(6, 5),
        kernel_size=kernel_size,
        strides=strides,
        window=window,
        pooling=pooling,
        boundary=boundary,
        bias_variance=0.2,
    )
    init, apply = networks.functional(make)
    params, state = init(jax.random.key(0))
    params = jax.tree.map(np.asarray, params)
    x = rng.standard_normal((2, 1, 12, 12, 2))
    actual = apply(params, state, x)[0]
    assert actual.shape == (2, 1, 5)
    assert actual.dtype == np.float64
    each = [value if isinstance(value, tuple) else (value,) * 2 for value in (kernel_size, strides, window)]
    for image, found in zip(x[:, 0], actual[:, 0]):
        maps = image
        for number, size, stride, block in zip("01", *each):
            layer = params["convolutions"][number]
            assert layer["kernel"].shape[:2] == (size, size)
            maps = np.maximum(correlated(maps, layer["kernel"], boundary, stride) + layer["bias"], 0)
            maps = pooled(maps, block, np.max if pooling == "max" else np.mean)
        dense = params["head"]["layers"]
        hidden = np.maximum(maps.ravel() @ dense["0"]["kernel"] + dense["0"]["bias"], 0)
        np.testing.assert_allclose(found, hidden @ dense["1"]["kernel"] + dense["1"]["bias"], rtol=1e-10)


def test_images_without_channels(rng):
    x = np.float32(rng.standard_normal((4, 8, 8)))
    gray, channelled = (CNN(shape, (3,), nnx.Rngs(0), head=(2,)) for shape in ((8, 8), (8, 8, 1)))
    np.testing.assert_array_equal(gray(x), channelled(x[..., None]))
    np.testing.assert_allclose(gray(x[0]), gray(x)[0], rtol=1e-5, atol=1e-6)


def test_layers_of_thresholding_without_pooling_and_head(rng):
    """Layered thresholding of a convolutional dictionary: relu(D^T x - threshold), twice."""
    init, apply = networks.functional(
        partial(CNN, (9, 9), (4, 6), kernel_size=3, window=1, boundary="periodic", bias_variance=0.1)
    )
    params, state = init(jax.random.key(0))
    assert params.keys() == {"convolutions"}
    x = np.float32(rng.standard_normal((2, 9, 9)))
    maps = apply(params, state, x)[0]
    assert maps.shape == (2, 9, 9, 6)
    assert np.min(maps) == 0
    moved = apply(params, state, np.roll(x, (2, 3), (1, 2)))[0]
    np.testing.assert_allclose(moved, np.roll(maps, (2, 3), (1, 2)), rtol=1e-4, atol=1e-5)


def test_variances_at_the_start():
    module = CNN((8, 8, 10), (60,), nnx.Rngs(0), kernel_size=5, weight_variance=1.5)
    weights = module.convolutions[0].kernel[...]
    assert abs(250 * weights.var() / 1.5 - 1) < 4 * np.sqrt(2 / weights.size)


def build(shape=(8, 8), channels=(2, 3), **options):
    return CNN(shape, channels, nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build((8,)), r"^shape is \(8,\): take \(H, W\) or \(H, W, C\)$"),
        (
            lambda: build(channels=()),
            r"^channels are \(\): take the number of maps of",
        ),
        (lambda: build(pooling="median"), "^pooling is 'median': take 'max' or 'average'$"),
        (lambda: build(boundary="full"), "^boundary is 'full': take 'zero', 'periodic' or 'reflect'$"),
        (lambda: build(activation="rleu"), "^activation is 'rleu': take one of relu"),
        (
            lambda: build(kernel_size=(3, 3, 3)),
            r"^kernel_size is \(3, 3, 3\): take one number, or one",
        ),
        (lambda: build(strides=0), "^strides is 0: take a whole number at least 1$"),
        (
            lambda: build(boundary=None, kernel_size=4),
            r"^shape is \(8, 8\): .* nothing is left after layer 2$",
        ),
        (lambda: build()(np.ones((2, 8, 9))), r"^x has the shape \(2, 8, 9\): take \(\.\.\., 8, 8\) for"),
        (
            lambda: build((8, 8, 3))(np.ones((2, 8, 8))),
            r"^x has the shape \(2, 8, 8\): take \(\.\.\., 8, 8, 3\)",
        ),
    ],
)
def test_errors(make, message, own_errors):
    with pytest.raises(ValueError, match=message):
        make()
