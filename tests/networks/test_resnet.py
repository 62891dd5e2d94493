"""Residual networks against sums that are written out in NumPy, and against published counts."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks import layers, resnet

SMALL = {"channels": (2, 3, 5), "inputs": 2}


@cache
def functional(depth, **options):
    return networks.functional(resnet.make_small(depth, 4, **SMALL, **options))


def size(make):
    network = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))


@pytest.mark.parametrize(
    ("depth", "classes", "count"),
    [
        (110, 10, 1_727_962),
        pytest.param(34, 1000, 21_797_672, marks=pytest.mark.beyond),
        pytest.param(50, 1000, 25_557_032, marks=pytest.mark.beyond),
        pytest.param(32, 10, 464_154, marks=pytest.mark.beyond),
        pytest.param(44, 10, 658_586, marks=pytest.mark.beyond),
        pytest.param(56, 10, 853_018, marks=pytest.mark.beyond),
    ],
)
def test_counts_are_those_of_torchvision_and_of_the_paper(depth, classes, count):
    # He et al. 2016 print 0.27, 0.46, 0.66, 0.85 and 1.7 million for CIFAR. 18 and 20 are in the docstrings,
    # 101 and 152 in the experiment `deeper`.
    assert size(resnet.make(depth, classes)) == count


def convolved(x, kernel, stride):
    """The convolution of (n, H, W, C) with zeros beyond the border, as a sum over patches."""
    pad = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], (1, 2))
    return np.einsum("nijcuv,uvcd->nijd", patches[:, ::stride, ::stride], kernel)


def layer(params, state, x, stride, train):
    found = convolved(x, params["convolution"]["kernel"], stride) + params["convolution"].get("bias", 0)
    if "normalization" not in params:
        return found
    norm = params["normalization"]
    mean, var = (state["normalization"][name] for name in ("mean", "var"))
    if train:
        mean, var = found.mean((0, 1, 2)), found.var((0, 1, 2))
    return (found - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["bias"]


def block(params, state, x, stride, skips, train):
    first, second = ((params["layers"][one], state["layers"][one] if state else None) for one in ("0", "1"))
    maps = np.maximum(layer(*first, x, stride, train), 0)
    maps = layer(*second, maps, 1, train)
    if skips:
        x = x[:, ::stride, ::stride]
        maps = maps + np.pad(x, ((0, 0),) * 3 + ((0, maps.shape[-1] - x.shape[-1]),))
    return np.maximum(maps, 0)


def at(number, trees):
    return jax.tree.map(lambda leaf: leaf[number], trees)


def logits(params, state, x, skips, train):
    """The logits of a small network, block by block."""
    x = np.maximum(layer(params["stem"], state.get("stem"), x, 1, train), 0)
    for stage in "012":
        own, kept = params["stages"][stage], state["stages"][stage] if "stages" in state else {}
        if "start" in own:
            x = block(own["start"], kept.get("start"), x, 2, skips, train)
        if "rest" in own:
            for number in range(jax.tree.leaves(own["rest"])[0].shape[0]):
                x = block(*at(number, (own["rest"], kept.get("rest"))), x, 1, skips, train)
    return x.mean((1, 2)) @ params["classifier"]["kernel"] + params["classifier"]["bias"]


def drawn(init, rng):
    """Parameters and state, with every array drawn; variances are positive."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.float32(
            0.4 * rng.standard_normal(leaf.shape) if path[-1].key != "var" else 0.5 + rng.random(leaf.shape)
        ),
        jax.eval_shape(init, jax.random.key(0)),
    )


@pytest.mark.parametrize(
    ("depth", "skips", "normalization", "train"),
    [
        (8, True, True, False),
        pytest.param(14, True, True, True, marks=pytest.mark.beyond),
        pytest.param(14, False, True, False, marks=pytest.mark.beyond),
        pytest.param(8, True, False, False, marks=pytest.mark.beyond),
    ],
)
def test_outputs_are_the_sums_written_out(depth, skips, normalization, train, rng):
    init, apply = functional(depth, skips=skips, normalization=normalization)
    params, state = drawn(init, rng)
    state["skips"] = init(jax.random.key(0))[1]["skips"]
    x = np.float32(rng.random((1, 3, 6, 7, 2)))
    found, moved = apply(params, state, x, train=train)
    expected = logits(params, state, np.float64(x[0]), skips, train)
    np.testing.assert_allclose(found[0], expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())
    assert ("stem" in state) == normalization
    if train:
        kept, after = (one["stages"]["1"]["rest"]["layers"]["0"] for one in (state, moved))
        assert np.all(kept["normalization"]["mean"] != after["normalization"]["mean"])


@pytest.mark.beyond
def test_blocks_of_large_networks_are_the_sums_written_out(rng):
    """The bottleneck with its projection, which no small network has."""
    network = resnet._Block(3, 2, 8, 2, skips=True)
    network.eval()
    layers.draw(network, nnx.Rngs(0))
    x = np.float32(rng.standard_normal((2, 5, 5, 3)))
    kernels = [np.asarray(one.convolution.kernel[...]) for one in (*network.layers, network.projection)]
    shrink = np.sqrt(1 + 1e-5)
    maps = np.maximum(convolved(x, kernels[0], 1) / shrink, 0)
    maps = np.maximum(convolved(maps, kernels[1], 2) / shrink, 0)
    maps = convolved(maps, kernels[2], 1) / shrink + convolved(x, kernels[3], 2) / shrink
    np.testing.assert_allclose(network(jnp.asarray(x)), np.maximum(maps, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.beyond
def test_weights_start_with_the_variances_of_their_units():
    params, _ = networks.functional(resnet.make_small(14, 10, channels=(16, 16, 16))).init(jax.random.key(0))
    kernel = np.asarray(params["stages"]["0"]["rest"]["layers"]["1"]["convolution"]["kernel"])
    assert kernel.shape == (2, 3, 3, 16, 16)
    assert abs(9 * 16 / 2 * kernel.var() - 1) < 4 * np.sqrt(2 / kernel.size)
    assert not np.allclose(kernel[0], kernel[1])
    dense = np.asarray(params["classifier"]["kernel"])
    assert abs(16 * dense.var() - 1) < 4 * np.sqrt(2 / dense.size)


def test_a_large_network_has_the_stages_of_the_paper():
    network = nnx.eval_shape(lambda: resnet.make(34, 7, skips=False)(nnx.Rngs(0)))
    assert [len(stage) for stage in network.stages] == [3, 4, 6, 3]
    assert network.tensors() == {}
    assert network.classifier.kernel.shape == (512, 7)
    assert all(one.projection is None for stage in network.stages for one in stage)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: resnet.make(19, 10),
            r"^depth is 19: take 18, 34, 50, 101 or 152, CIFAR's 20, 32, .*, or ma",
        ),
        (lambda: resnet.make(18, 0), "^classes is 0: take a whole number at least 1$"),
        (lambda: resnet.make_small(10, 10), r"^depth is 10: take 6 n \+ 2 with n of 1 or more, as 8, 14 or"),
        (lambda: resnet.make_small(2, 10), r"^depth is 2: take 6 n \+ 2"),
        (
            lambda: resnet.make_small(8, 10, channels=(4, 8)),
            r"^channels are \(4, 8\): take three numbers, none smaller than the one before$",
        ),
        (lambda: resnet.make_small(8, 10, channels=(8, 4, 4)), r"^channels are \(8, 4, 4\): take three"),
        (
            lambda: jax.eval_shape(functional(8).apply, *shapes(), np.zeros((6, 7))),
            r"^x has the shape \(6, 7\): take \(\.\.\., H, W, 2\) for",
        ),
        (
            lambda: layers.colored(np.zeros((8, 8, 1))),
            r"^x has the shape \(8, 8, 1\): take \(\.\.\., H, W, 3\)",
        ),
    ],
)
def test_bad_input_is_refused(make, message, own_errors):
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(TypeError, match=r"^skips is 1: take True or False$"):
        resnet.make(18, 10, skips=1)


def shapes():
    return jax.eval_shape(functional(8).init, jax.random.key(0))
