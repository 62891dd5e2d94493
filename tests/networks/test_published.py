"""AlexNet, VGG and ResNet against torchvision's logits, and the errors about weights that do not fit."""

import json
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks import alexnet, layers, published, resnet, safetensors, vgg
from jaxtheory.networks.layers import Tensor

NETWORKS = {
    "alexnet": (alexnet.make(1000), 64),
    "vgg11_bn": (vgg.make(11, 1000, normalization=True), 32),
    "resnet18": (resnet.make(18, 1000), 64),
    "resnet50": (resnet.make(50, 1000), 64),
}
"""What makes a network of torchvision's name, and the side of images that are fast."""
LOGITS = {
    "alexnet": (
        [[-1.358113, 3.000485, 5.91131, -10.4784], [-0.4778861, 3.446515, 6.713486, -9.915351]],
        18.85531,
    ),
    "vgg11_bn": (
        [[1.982019, -0.2128068, 1.587874, -0.6118591], [1.958662, -0.1152243, 1.988433, -0.5790316]],
        10.36934,
    ),
    "resnet18": (
        [[12.0822, 6.470006, -28.77352, -17.68481], [11.97108, 0.2350501, -27.64216, -32.04135]],
        120.8281,
    ),
    "resnet50": (
        [[157.3287, 1170.625, -2250.144, -459.0307], [167.2418, 1307.635, -2132.962, -732.7667]],
        5279.826,
    ),
}
"""Of torchvision 0.28 with PyTorch 2.13, in double precision, with the weights drawn here: the first four of
two images, and the largest modulus of all. In AlexNet and VGG dense layers have `UNITS` units, as 4,096 make
files of hundreds of megabytes; with as many the logits agreed to 3e-6 of the largest, too."""
UNITS = 16


@cache
def shapes(name):
    """torchvision's names of a network's arrays in its order, and their shapes there."""
    module = nnx.eval_shape(lambda: NETWORKS[name][0](nnx.Rngs(0)))
    ours = {tuple(map(str, place)): one for place, one in nnx.to_flat_state(nnx.state(module))}
    return {
        one: published._published(ours[place].get_value().shape)
        for one, (place, _) in module.tensors().items()
    }


def weights(name):
    """Weights from one block of normal numbers, shifted for each array by 97."""
    block = np.float32(np.random.default_rng(19).standard_normal(1 << 16))
    arrays = {}
    for number, (one, shape) in enumerate(shapes(name).items()):
        flat = np.resize(np.roll(block, -97 * number), shape)
        if one.endswith("running_var"):
            arrays[one] = 0.5 + flat**2
        elif len(shape) == 1:
            arrays[one] = np.float32(0.1 * flat + one.endswith("weight"))
        else:
            arrays[one] = flat * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return arrays


@pytest.mark.beyond
@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18", "resnet50"])
def test_logits_are_those_of_torchvision(name, monkeypatch):
    make, side = NETWORKS[name]
    for module in (alexnet, vgg):
        monkeypatch.setattr(module, "UNITS", UNITS)
    shapes.cache_clear()
    arrays = weights(name) | {"some.num_batches_tracked": np.array(0)}
    monkeypatch.setattr(safetensors, "read", lambda _: arrays)
    params, state = published.load("weights.safetensors", make)
    images = np.float32(np.random.default_rng(20).random((2, side, side, 3)))
    shapes.cache_clear()
    found = np.asarray(networks.functional(make).apply(params, state, images)[0])
    expected, largest = LOGITS[name]
    assert abs(np.abs(found).max() / largest - 1) < 1e-4
    np.testing.assert_allclose(found[:, :4], expected, rtol=0, atol=1e-5 * largest)


class Small(nnx.Module):
    """A network with a layer of each kind, whose names are made up."""

    title = "a small network"

    def __init__(self, rngs):
        self.stem = layers.Convolution(2, 3, bias=True)
        self.classifier = layers.dense(12, 5)
        layers.draw(self, rngs)

    def __call__(self, x):
        return self.classifier(jnp.maximum(self.stem(x), 0).reshape(x.shape[0], -1))

    def tensors(self):
        return self.stem.tensors("c", "n", "stem") | {
            "d.weight": Tensor(("classifier", "kernel"), (3, 2, 2)),
            "d.bias": Tensor(("classifier", "bias")),
        }


def small(rng):
    sizes = {"c.weight": (3, 2, 3, 3), "c.bias": 3, "d.weight": (5, 12), "d.bias": 5}
    sizes |= {f"n.{name}": 3 for name in layers.NORMALIZATION}
    arrays = {name: rng.standard_normal(size, np.float32) for name, size in sizes.items()}
    return arrays | {"n.running_var": np.float32([1, 2, 3])}


def write(path, arrays):
    header, end = {}, 0
    for name, array in arrays.items():
        offsets = [end, end := end + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(one).tobytes() for one in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_a_file_has_the_arrays_of_the_network(tmp_path, rng):
    arrays, file = small(rng), tmp_path / "small.safetensors"
    write(file, arrays)
    given = published.load(file, Small)
    functional = networks.functional(Small)
    drawn = jax.eval_shape(functional.init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, given) == jax.tree.map(jnp.shape, drawn)
    # Written out in the order of axes that PyTorch has: images with channels before rows.
    x = np.float32(rng.random((1, 2, 2, 2)))
    padded = np.pad(x[0].transpose(2, 0, 1), ((0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    maps = np.einsum("cijuv,dcuv->dij", patches, arrays["c.weight"])
    per_map = {name: one[:, None, None] for name, one in arrays.items() if one.shape == (3,)}
    maps = (maps + per_map["c.bias"] - per_map["n.running_mean"]) / np.sqrt(per_map["n.running_var"] + 1e-5)
    maps = np.maximum(maps * per_map["n.weight"] + per_map["n.bias"], 0)
    expected = arrays["d.weight"] @ maps.ravel() + arrays["d.bias"]
    np.testing.assert_allclose(functional.apply(*given, x)[0][0], expected, rtol=1e-4, atol=1e-5)


CHANGES = [
    ({"d.bias": None}, "lacks 'd.bias': take the weights of a small network$"),
    ({"d.bias": None, "n.bias": None}, "lacks 'd.bias' and 1 others: take the weights"),
    ({"e.bias": np.zeros(3, np.float32)}, "has 'e.bias': take the weights of a small network$"),
    (
        {"d.weight": np.zeros((7, 12), np.float32), "d.bias": np.zeros(7, np.float32)},
        "has 7 classes and not 5: make a network with as many, or take weights of a small network$",
    ),
    (
        {"c.weight": np.zeros((3, 2, 5, 5), np.float32)},
        r"has c\.weight of shape \(3, 2, 5, 5\), which should be \(3, 2, 3, 3\): take the weights of a small",
    ),
    ({"c.bias": np.zeros(3, np.int64)}, "has c.bias of dtype int64: take floating weights$"),
    ({"c.bias": np.float32([0, np.nan, 0])}, "has numbers in c.bias that are not finite: fetch it again$"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_weights_that_do_not_fit_are_refused(monkeypatch, rng, changes, message):
    arrays = {name: array for name, array in (small(rng) | changes).items() if array is not None}
    monkeypatch.setattr(safetensors, "read", lambda _: arrays)
    with pytest.raises(ValueError, match=rf"^w\.safetensors {message}"):
        published.load("w.safetensors", Small)


def test_weights_of_another_network_are_refused(monkeypatch):
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes("resnet18").items()}
    monkeypatch.setattr(safetensors, "read", lambda _: arrays)
    with pytest.raises(ValueError, match=r"^w has 'bn1\.bias' and \d+ others: take the weights of AlexNet$"):
        published.load("w", NETWORKS["alexnet"][0])
    make = vgg.make(11, 10, normalization=True)
    with pytest.raises(ValueError, match=r"take the weights of VGG-11 with batch normalization$"):
        published.load("w", make)


def test_networks_that_are_not_published_are_refused(own_errors):
    with pytest.raises(
        TypeError, match=r"^network is a str: take what makes one, as resnet\.make\(18, 1000\)$"
    ):
        published.load("w", "resnet18")
    with pytest.raises(ValueError, match=r"^network makes a SmallResNet that torchvision has not: take alex"):
        published.load("w", resnet.make_small(8, 10))
    with pytest.raises(ValueError, match=r"^network makes a AlexNet that torchvision has not: take alexnet"):
        published.load("w", alexnet.make(10, streams=2))


def test_counts_are_those_of_the_papers():
    network = nnx.eval_shape(lambda: alexnet.make(1000, streams=2)(nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))) == 60_965_224
    assert sum(np.prod(shape) for shape in shapes("vgg11_bn").values()) == 132_868_840 + 2 * 2752
    assert [len(vgg.STAGES[depth]) for depth in vgg.STAGES] == [5] * 4


@pytest.mark.parametrize("size", [6, 13])
def test_averages_are_those_of_windows_that_may_overlap(size, rng):
    x = rng.standard_normal((1, size, size, 2))
    edges = [(i * size // 6, -(-(i + 1) * size // 6)) for i in range(6)]
    expected = [[x[0, a:b, c:d].mean((0, 1)) for c, d in edges] for a, b in edges]
    np.testing.assert_allclose(
        jax.jit(layers.averaged, static_argnums=1)(x, 6)[0], expected, rtol=1e-5, atol=1e-6
    )


def test_largest_values_of_windows_that_overlap(rng):
    x = rng.standard_normal((1, 6, 7, 2))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))[:, ::2, ::2]
    np.testing.assert_allclose(layers.largest(jnp.asarray(x), 3, 2, 1), windows.max((-2, -1)), rtol=1e-6)


def test_local_response_is_the_sum_written_out(rng):
    x = rng.standard_normal((2, 9))
    expected = [
        [row[c] / (2 + 0.3 * sum(row[max(c - 2, 0) : c + 3] ** 2)) ** 0.75 for c in range(9)] for row in x
    ]
    np.testing.assert_allclose(jax.jit(partial(layers.local_response, scale=0.3))(x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vgg.make(12, 10), r"^depth is 12: take 11, 13, 16 or 19$"),
        (lambda: vgg.make(11, 0), "^classes is 0: take a whole number at least 1$"),
        (lambda: alexnet.make(10, streams=3), "^streams is 3: take a whole number from 1 to 2$"),
        (
            lambda: layers.local_response(np.ones(3), window=4),
            "^window is 4: take an odd number of channels$",
        ),
        (lambda: layers.local_response(np.ones(3), offset=0), "^offset is 0: take a positive number$"),
        (lambda: layers.local_response(np.ones(3), scale=-1), "^scale is -1: take a number of 0 or more$"),
        (lambda: layers.local_response(1.0), r"^x has the shape \(\): take \(\.\.\., channels\)"),
        (
            lambda: layers.colored(np.ones((8, 8, 1))),
            r"^x has the shape \(8, 8, 1\): take \(\.\.\., H, W, 3\)",
        ),
        (
            lambda: layers.colored(np.ones((8, 40, 3)), least=32),
            "^x has images of 8 x 40 pixels: take 32 x 32 or more$",
        ),
    ],
)
def test_bad_input_is_refused(make, message, own_errors):
    with pytest.raises(ValueError, match=message):
        make()
