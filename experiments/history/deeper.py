"""Three convolutions of 3 x 3 see as much as one of 7 x 7, with fewer weights, and err less.

Lecture: history, "VGG" and "ResNet".
Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015.

Receptive fields are measured: where the gradient of an output in the middle by the pixels is not zero. For
errors, a convolution of 3 x 3 with stride 2 is followed by either body with as many channels and by a dense
layer. Digits are averaged to 14 x 14 pixels. Textures are patches of as many pixels of brick, grass and
gravel, each with mean 0 and variance 1, from the left halves of the images to learn and from the right ones
to test. Both bodies of a draw see the same examples in the same order. All sizes of networks are compared
with torchvision's, and the full form computes logits of one image of 224 x 224 pixels with each. It takes
about six minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from flax import nnx
from jax import lax

from jaxtheory import networks
from jaxtheory.data import images, mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, equal_to, exact, experiment, mean, plots
from jaxtheory.lab.blocks import minibatches
from jaxtheory.networks import alexnet, resnet, training, vgg
from jaxtheory.networks.cnn import CNN

Data = Literal["digits", "textures"]
BODIES = {"one 7 x 7": (7,), "three 3 x 3": (3, 3, 3)}
WIDE, DEEP = BODIES
"""The sides of the kernels of either body."""
SIDE, LARGE = 14, 224
"""The sides of the images that are classified, and of those of large networks."""
FIELD = 15
"""The side of the images in which receptive fields are measured."""
AXES = ("NHWC", "HWIO", "NHWC")
RATE = 3e-3
"""Adam's step size at the start; it falls to zero along a cosine."""
SIMONYAN = "Simonyan and Zisserman 2015, section 2.3"
TORCHVISION = {
    "AlexNet": 61_100_840,
    "VGG-11": 132_863_336,
    "VGG-11 BN": 132_868_840,
    "VGG-13": 133_047_848,
    "VGG-13 BN": 133_053_736,
    "VGG-16": 138_357_544,
    "VGG-16 BN": 138_365_992,
    "VGG-19": 143_667_240,
    "VGG-19 BN": 143_678_248,
    "ResNet-18": 11_689_512,
    "ResNet-34": 21_797_672,
    "ResNet-50": 25_557_032,
    "ResNet-101": 44_549_160,
    "ResNet-152": 60_192_808,
}
"""The parameters of torchvision's networks with 1,000 classes, counted with version 0.28."""
PRINTED = {
    "AlexNet of 2012": (6, 1e7),
    "VGG-11": (133, 1e6),
    "VGG-13": (133, 1e6),
    "VGG-16": (138, 1e6),
    "VGG-19": (144, 1e6),
    "ResNet-20": (0.27e2, 1e4),
    "ResNet-32": (0.46e2, 1e4),
    "ResNet-44": (0.66e2, 1e4),
    "ResNet-56": (0.85e2, 1e4),
    "ResNet-110": (17, 1e5),
}
"""What papers print, in units of the last digit, and this unit; 60 million is taken for one digit."""
CLASSES = 1000


@dataclass(frozen=True)
class Config:
    channels: Annotated[int, Range(1, 128)] = 16
    """The channels of the bodies that are trained."""
    fields: Annotated[int, Range(1, 512)] = 64
    """The channels of the bodies whose weights are counted and whose receptive fields are measured."""
    train: Annotated[int, Range(50, 4000)] = 1000
    """The number of training examples."""
    test: Annotated[int, Range(10)] = 2000
    """The number of patches of textures to test on; digits are those of a fold."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws of examples and networks."""
    steps: Annotated[int, Range(1)] = 600
    """The number of training steps."""
    batch: Annotated[int, Range(1, 50)] = 50
    """The number of examples in a step."""
    networks: tuple[str, ...] = tuple(TORCHVISION)
    """The networks whose parameters are compared with torchvision's."""
    forward: bool = True
    """Whether logits of large images are computed."""


QUICK = Config(
    channels=4, fields=16, train=500, test=1000, draws=3, steps=60, batch=25, forward=False,
    networks=("AlexNet", "VGG-16 BN", "ResNet-50"),
)  # fmt: skip


def body(channels: int, name: str) -> Callable[..., Any]:
    """What makes a network with a body, behind a first convolution and before a dense layer."""
    sides = BODIES[name]
    layers = len(sides) + 1
    options = {"kernel_size": (3, *sides), "strides": (2, *(1,) * len(sides)), "head": (mnist.CLASSES,)}
    return partial(CNN, (SIDE, SIDE), (channels,) * layers, window=1, **options)


def size(make: Callable[..., Any]) -> int:
    """The number of parameters of a network, of which no array is made."""
    network = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))


def field(config: Config, rng: np.random.Generator, name: str) -> dict[str, Any]:
    """The weights of a body, and the mean size of the gradient of its outputs in the middle, by pixel."""
    channels, sides = config.fields, BODIES[name]
    make = partial(CNN, (FIELD, FIELD, channels), (channels,) * len(sides), kernel_size=sides, window=1)
    shapes = [(side, side, channels, channels) for side in sides]
    kernels = [np.float32(rng.standard_normal(one) * np.sqrt(2 / np.prod(one[:3]))) for one in shapes]

    def middle(x: jax.Array) -> jax.Array:
        for kernel in kernels:
            x = jax.nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=AXES))
        return x[:, FIELD // 2, FIELD // 2].sum()

    x = np.float32(rng.standard_normal((8, FIELD, FIELD, channels)))
    weights = size(partial(make, bias=False))
    return {"weights": float(weights), "gradient": np.abs(jax.jit(jax.grad(middle))(x)).mean((0, 3))}


@cache
def trainable(channels: int, name: str) -> tuple[Any, Any]:
    """The shapes of the parameters of a network with a body, and its logits."""
    init, apply = networks.functional(body(channels, name))
    return jax.eval_shape(init, jax.random.key(0))[0], training.predictor(apply)


def drawn(shapes: Any, rng: np.random.Generator) -> Any:
    """Parameters at the start, as CNN's, of which a program takes long to compile."""
    return jax.tree.map(
        lambda leaf: (
            np.float32(rng.standard_normal(leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1])))
            if leaf.ndim > 1
            else np.zeros(leaf.shape, np.float32)
        ),
        shapes,
    )


@partial(jax.jit, static_argnames=("config", "name"))
def trained(start: Any, train: Any, test: Any, order: Any, *, config: Config, name: str) -> dict[str, Any]:
    """The errors in percent on training and on test examples, after steps on the examples of an order."""
    _, logits = trainable(config.channels, name)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, config.steps))

    def loss(params: Any, batch: Any) -> jax.Array:
        return training.cross_entropy(logits(params, batch[0]), batch[1]).mean()

    advance = partial(training.step, objective=training.stateless(loss), optimizer=optimizer)

    def on_chosen(state: Any, chosen: jax.Array) -> tuple[Any, None]:
        return advance(state, jax.tree.map(lambda leaf: leaf[chosen], train))[0], None

    begin = training.init(start, jax.random.key(0), optimizer=optimizer)
    params = lax.scan(on_chosen, begin, order)[0].params
    x, y = (jnp.concatenate(pair) for pair in zip(train, test))
    wrong = 100.0 * (jnp.argmax(logits(params, x), -1) != y)
    return {"train": wrong[: config.train].mean(), "test": wrong[config.train :].mean()}


def halves(config: Config, rng: np.random.Generator) -> tuple[Any, Any]:
    """Patches of textures to train with and to test on, with their labels."""
    textures = [images.load(name, gray=True) for name in images.names("texture")]
    found = []
    for number, part in ((config.train, 0), (config.test, 1)):
        labels = np.int32(np.arange(number) % len(textures))
        patches = np.zeros((number, SIDE, SIDE), np.float32)
        for one, texture in enumerate(textures):
            half = np.array_split(texture, 2, axis=1)[part]
            patches[labels == one] = images.patches([half], int(np.sum(labels == one)), SIDE, seed=rng)
        patches -= patches.mean((1, 2), keepdims=True)
        found.append((patches / (patches.std((1, 2), keepdims=True) + 1e-3), labels))
    return tuple(found)


def examples(config: Config, digits: mnist.Digits, data: Data, draw: int, rng: Any) -> tuple[Any, Any]:
    """Images to train with and to test on, with their labels."""
    if data == "textures":
        return halves(config, rng)
    split = digits.draw(config.train, rng, fold=draw % mnist.FOLDS)
    return tuple(
        (x.reshape(len(x), SIDE, 2, SIDE, 2).mean((2, 4)), y)
        for x, y in ((split.train_images, split.train_labels), (split.test_images, split.test_labels))
    )


def maker(name: str) -> Callable[..., Any]:
    """What makes the network of a name."""
    if name.startswith("AlexNet"):
        return alexnet.make(CLASSES, streams=2 if name.endswith("2012") else 1)
    depth = int(name.removesuffix(" BN").split("-")[1])
    if name.startswith("VGG"):
        return vgg.make(depth, CLASSES, normalization=name.endswith("BN"))
    return resnet.make(depth, 10 if depth in resnet.SMALL else CLASSES)


def logits(network: str, key: jax.Array) -> dict[str, float]:
    """The number of logits of one large image, and whether all are finite."""
    init, apply = networks.functional(maker(network))
    params, state = init(key)
    x = jax.random.uniform(jax.random.fold_in(key, 1), (1, LARGE, LARGE, 3))
    found = np.asarray(apply(params, state, x)[0])
    return {"logits": float(found.size), "finite": float(np.isfinite(found).all())}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if strange := set(config.networks) - TORCHVISION.keys():
        raise ValueError(f"networks hold {min(strange)!r}: take some of {', '.join(TORCHVISION)}")
    digits = lab.load(mnist)
    lab.uses(images.describe(*images.names("texture")))

    def error(body: str, data: Data, draw: int, rng: np.random.Generator) -> dict[str, float]:
        train, test = examples(config, digits, data, draw, rng)
        order = minibatches(config.train, config.batch, config.steps, rng)
        start = drawn(trainable(config.channels, body)[0], rng)
        found = trained(start, train, test, order, config=config, name=body)
        return {part: float(share) for part, share in found.items()}

    def measured(body: str, rng: np.random.Generator) -> dict[str, Any]:
        return field(config, rng, body)

    fields = lab.sweep("fields", measured, body=list(BODIES), dims={"gradient": ("row", "column")})
    errors = lab.sweep(
        "errors", error, body=list(BODIES), data=["digits", "textures"], draw=range(config.draws),
        common="body",
    )  # fmt: skip
    forward = lab.sweep("forward", logits, network=list(config.networks)) if config.forward else None
    told = errors.mean("draw")
    for name, kind in ((name, kind) for name in told.body.values for kind in told.data.values):
        one = told.sel(body=name, data=kind)
        lab.note(
            f"{name} on {kind}: training error {float(one.train):.2f} %, test error {float(one.test):.2f} %."
        )
    found = errors.test.rename("test error").assign_attrs(unit="%")
    figures(fields, found, lab)
    return claims(config, fields, found, forward, digits.shared)


def claims(
    config: Config, fields: xr.Dataset, errors: xr.DataArray, forward: xr.Dataset | None, overlap: float
) -> list[Claim]:
    seen = {name: np.argwhere(fields.gradient.sel(body=name).values > 0) for name in BODIES}
    spans = {name: np.ptp(one, axis=0) + 1 for name, one in seen.items()}
    gain = errors.sel(body=WIDE, drop=True) - errors.sel(body=DEEP, drop=True)
    average = partial(mean, over="draw", paired=True)
    squared = config.fields**2
    differ = [exact(size(maker(name)) - TORCHVISION[name], at={"network": name}) for name in config.networks]
    apart = [
        exact(abs(size(maker(name)) / unit - printed), at={"network": name})
        for name, (printed, unit) in PRINTED.items()
    ]
    passes = Need("forward passes", forward is not None, "take the full form, or --forward")
    return [
        Claim(
            "Three convolutions of 3 x 3 have 27 C² weights.",
            equal_to(27, unit="C²", tolerance=0, source=SIMONYAN),
            exact(float(fields.weights.sel(body=DEEP)) / squared),
        ),
        Claim(
            "One convolution of 7 x 7 has 49 C² weights.",
            equal_to(49, unit="C²", tolerance=0, source=SIMONYAN),
            exact(float(fields.weights.sel(body=WIDE)) / squared),
        ),
        Claim(
            "Both see the same pixels: the number of rows and of columns with a gradient.",
            equal_to(7, unit="pixels", tolerance=0, source=SIMONYAN),
            [
                exact(int(span), at={"body": name, "axis": axis})
                for name, both in spans.items()
                for axis, span in zip(("rows", "columns"), both)
            ],
        ),
        Claim(
            "With as many channels, the three err less than the one on digits: the difference.",
            above(0, unit="points", source=f"{SIMONYAN}: more discriminative"),
            average(gain.sel(data="digits", drop=True), overlap=overlap),
        ),
        Claim(
            "With as many channels, the three err less than the one on textures: the difference.",
            above(0, unit="points", source=f"{SIMONYAN}: more discriminative"),
            average(gain.sel(data="textures", drop=True)),
        ),
        Claim(
            "AlexNet, VGG and ResNet have as many parameters as torchvision's: the difference.",
            equal_to(0, tolerance=0, source="torchvision 0.28, counted there", looked_up=True),
            differ,
        ),
        Claim(
            "They have as many as their papers print: the distance in units of the last digit.",
            at_most(0.5, source="Krizhevsky et al. 2012; Simonyan and Zisserman 2015; He et al. 2016"),
            apart,
        ),
        Claim(
            "An image of 224 x 224 pixels has a finite logit for each of 1,000 classes: the number of them.",
            equal_to(CLASSES, tolerance=0, source="the definitions"),
            [
                exact(float(one.logits * one.finite), at={"network": name})
                for name, one in ((name, forward.sel(network=name)) for name in config.networks)
            ]
            if forward is not None
            else None,
            passes,
        ),
    ]


def figures(fields: xr.Dataset, errors: xr.DataArray, lab: Lab) -> None:
    """The pictures."""
    rows = {name: fields.gradient.sel(body=name).values[None] for name in BODIES}
    lab.figure(
        "fields",
        plots.image_rows(rows, span=None, size=2.0),
        "The mean size of the gradient of an output in the middle by the pixels: both bodies see 7 x 7, the "
        "three convolutions most of all the middle.",
    )
    drawing = plots.dots(errors, x="data", hue="body", over="draw", xlabel="")
    lab.figure("errors", drawing, "Test errors of either body: draws, their mean and its error.")
