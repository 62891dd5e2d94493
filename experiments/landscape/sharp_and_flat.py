"""Large batches end in sharper minima than small ones; rescaling makes the same function sharper at will.

Lecture: the landscape of the empirical risk, "How to find a good minimum efficiently?".
Source: Keskar, Mudigere, Nocedal, Smelyanskiy and Tang, On large-batch training for deep learning:
generalization gap and sharp minima, ICLR 2017; Dinh, Pascanu, S. Bengio and Y. Bengio, Sharp minima can
generalize for deep nets, ICML 2017.

A network with two hidden layers of ReLUs is trained by Adam with small batches, until the loss of all
training digits first falls below a number, and from the same start with batches of a tenth of the digits,
down to the loss that was reached. Its sharpness is the largest eigenvalue of the Hessian of that loss. Then
the first layer, kernel and bias, is divided by 2^j and the next one's kernel multiplied by it: a power of two
changes no digit of a floating-point number, so that the logits stay the same to the bit, and the largest
eigenvalue tends to a multiple of 4^j. The full form takes about three minutes on two cores; --data-dir gives
the whole MNIST.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_least, at_most, equal_to, experiment, mean, plots
from jaxtheory.landscape import curvature, spectrum, surface
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

BATCHES = ("small", "large")
RATE = 1e-3
"""Adam's step size, for all batches as in the paper."""
LOOKS = 10
"""How often the training loss is looked at while a training goes once through the digits, at most."""
CHUNK = 2000
"""The number of digits in a batch of the Hessian."""
ACCURACY = 1e-4
"""The residual of an eigenvalue, relative to it, at which its search ends."""
SETTLED = 8
"""The exponent from which on the eigenvalue over 4^j is to be constant."""
LAST = 11
"""The largest exponent."""
PICTURED = 3
"""The exponent of the rescaled network in the picture of slices."""
KESKAR = "Keskar et al. 2017, abstract"
DINH = "Dinh et al. 2017, abstract: equivalent networks at arbitrarily sharper minima"


@dataclass(frozen=True)
class Config:
    width: Annotated[int, Range(1)] = 64
    """The number of units in each of the two hidden layers."""
    digits: Annotated[int, Range(100)] = 60_000
    """The largest number of digits that are taken for training."""
    small: Annotated[int, Range(1)] = 32
    """The number of digits in a small batch."""
    share: Annotated[float, Range(0.001, 1)] = 0.1
    """The share of the training digits in a large batch."""
    target: Annotated[float, Range(0, open=True)] = 0.02
    """The training loss, in nats, at which a training ends."""
    epochs: Annotated[int, Range(1)] = 200
    """The largest number of times that a training goes through the digits."""
    draws: Annotated[int, Range(2)] = 10
    """The number of pairs of trainings, each from a start of its own."""
    rescaled: Annotated[int, Range(2)] = 5
    """The number of networks that are rescaled."""
    points: Annotated[int, Range(5)] = 41
    """The number of points along a slice."""


QUICK = Config(width=16, digits=300, small=16, target=0.1, draws=4, rescaled=2, points=21)


@cache
def network(width: int) -> networks.bridge.Functional:
    """A network of digits with two hidden layers of this width."""
    return networks.functional(partial(MLP, (784, width, width, 10)))


@cache
def loss_of(width: int) -> Any:
    """Its cross entropy, a plain function of parameters and digits."""
    return training.loss(network(width).apply, training.cross_entropy)


@partial(jax.jit, static_argnames=("width", "batch", "every", "most"))
def trained(
    data: Any, key: jax.Array, target: Any, *, width: int, batch: int, every: int, most: int
) -> tuple[Any, jax.Array, jax.Array]:
    """Training until the loss of all digits, looked at every few steps, is below a target.

    It gives the parameters, that loss and the number of steps.
    """
    loss, optimizer = loss_of(width), optax.adam(RATE)
    objective = training.objective(network(width).apply, training.cross_entropy)
    start, order = jax.random.split(key)
    state = training.init(network(width).init(start)[0], order, optimizer=optimizer)
    advance = partial(training.run, objective=objective, optimizer=optimizer, steps=every, batch=batch)

    def on(carry: tuple[Any, jax.Array, jax.Array]) -> tuple[Any, jax.Array, jax.Array]:
        state = advance(carry[0], data)[0]
        return state, loss(state.params, data), carry[2] + 1

    end, reached, _ = jax.lax.while_loop(
        lambda carry: (carry[1] > target) & (carry[2] < most), on, (state, jnp.inf, jnp.zeros((), int))
    )
    return end.params, reached, end.step


def ended(
    config: Config, data: Any, batch: str, key: jax.Array, target: float
) -> tuple[Any, jax.Array, jax.Array]:
    """The end of a training with small or large batches."""
    number = len(data[1])
    size = min(config.small, number) if batch == "small" else max(1, round(config.share * number))
    every = max(1, number // (LOOKS * size))
    most = -(-config.epochs * number // (size * every))
    return trained(data, key, target, width=config.width, batch=size, every=every, most=most)


def pair(config: Config, data: Any, key: jax.Array) -> dict[str, tuple[Any, jax.Array, jax.Array]]:
    """The ends of trainings with small batches, and with large ones down to the loss that those reached."""
    small = ended(config, data, "small", key, config.target)
    return {"small": small, "large": ended(config, data, "large", key, float(small[1]))}


def sharpness(config: Config, params: Any, data: Any) -> float:
    """The largest eigenvalue of the Hessian of the training loss."""
    batches = [
        jax.tree.map(lambda leaf: leaf[k : k + CHUNK], data)  # noqa: B023
        for k in range(0, len(data[1]), CHUNK)
    ]
    operator = curvature.hessian(loss_of(config.width), params, batches)
    found = spectrum.top_eigenpairs(operator, 1, jax.random.key(0), tolerance=ACCURACY)
    return float(found.values[0])


def minima(config: Config, train: Any, test: Any, key: jax.Array) -> dict[str, np.ndarray]:
    """What a pair of trainings with small and with large batches ends with."""
    predict, rows = training.predictor(network(config.width).apply), []
    for params, reached, steps in pair(config, train, key).values():
        wrong = 1 - jnp.mean(training.accuracy(predict(params, test[0]), test[1]))
        rows.append((reached, steps, sharpness(config, params, train), 100 * wrong))
    return dict(zip(("loss", "steps", "sharpness", "test error"), np.asarray(rows, float).T))


def rescale(params: Any, exponent: int, *, first: int = 0, second: int = 1) -> Any:
    """The same network with a layer divided by 2^exponent and a later one's kernel multiplied by it.

    The biases of layers between are divided as well.
    """
    factor = np.float32(2.0**exponent)
    layers = {place: dict(layer) for place, layer in params["layers"].items()}
    layers[str(first)]["kernel"] = layers[str(first)]["kernel"] / factor
    layers[str(second)]["kernel"] = layers[str(second)]["kernel"] * factor
    for place in range(first, second):
        layers[str(place)]["bias"] = layers[str(place)]["bias"] / factor
    return {"layers": layers}


def sharpened(config: Config, train: Any, test: Any, key: jax.Array) -> dict[str, np.ndarray]:
    """The largest eigenvalues of a network rescaled by powers of two, and how many of its logits differ."""
    params, _, _ = ended(config, train, "small", key, config.target)
    predict = jax.jit(training.predictor(network(config.width).apply))
    before = np.asarray(predict(params, test[0]))
    values, different = [], []
    for exponent in range(LAST + 1):
        same = rescale(params, exponent)
        different.append(int(np.sum(np.asarray(predict(same, test[0])) != before)))
        values.append(sharpness(config, same, train))
    return {"largest eigenvalue": np.array(values), "different": np.array(different)}


def slices(config: Config, train: Any, keys: tuple[jax.Array, jax.Array]) -> dict[str, np.ndarray]:
    """The training loss along a random direction from three networks, as drawn and scaled to filters."""
    small, large = (end[0] for end in pair(config, train, keys[0]).values())
    offsets, found = np.linspace(-1, 1, config.points), {}
    length = np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(small)))
    for kind in ("none", "filter"):
        for name, params in (("small", small), ("large", large), ("rescaled", rescale(small, PICTURED))):
            drawn = surface.random_directions(keys[1], params, directions=1, normalization=kind)
            if kind == "none":
                norm = np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(drawn)))
                drawn = jax.tree.map(lambda leaf: leaf * (length / norm), drawn)  # noqa: B023
            one = jax.tree.map(lambda leaf: leaf[0], drawn)
            values = surface.line_values(loss_of(config.width), params, one, offsets, train)
            found[f"{kind}/{name}"] = np.asarray(values)
    return found


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    train = flat(digits.train_images[: config.digits], digits.train_labels[: config.digits])
    test = flat(digits.test_images, digits.test_labels)
    ends = lab.sweep(
        "minima", partial(minima, config, train, test), draw=range(config.draws),
        dims=dict.fromkeys(("loss", "steps", "sharpness", "test error"), ("batch",)),
    ).assign_coords(batch=list(BATCHES))  # fmt: skip
    rescaled = lab.sweep(
        "rescaled", partial(sharpened, config, train, test), draw=range(config.rescaled),
        dims={"largest eigenvalue": ("exponent",), "different": ("exponent",)},
    ).assign_coords(exponent=range(LAST + 1))  # fmt: skip
    keys = lab.key("minima", draw=0), lab.key("direction")
    shown = lab.cached("slices", partial(slices, config, train, keys))
    figures(config, ends, rescaled, shown, lab)
    return claims(config, ends, rescaled, lab)


def flat(images: np.ndarray, labels: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Digits as vectors, with their labels."""
    return jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)


def claims(config: Config, ends: xr.Dataset, rescaled: xr.Dataset, lab: Lab) -> list[Claim]:
    small, large = (ends.sel(batch=batch, drop=True) for batch in BATCHES)
    gain = {name: large[name] - small[name] for name in ("sharpness", "test error")}
    middle = ends.mean("draw")
    lab.note(
        "Small and large batches end after "
        + " and ".join(f"{float(middle.steps.sel(batch=batch)):,.0f}" for batch in BATCHES)
        + " steps at training losses of "
        + " and ".join(f"{float(middle.loss.sel(batch=batch)):.4f}" for batch in BATCHES)
        + " nats on average; large batches are sharper in "
        f"{int((gain['sharpness'] > 0).sum())} and err more in {int((gain['test error'] > 0).sum())} of "
        f"{config.draws} pairs."
    )
    reached = Need(
        "trainings that reach the training loss",
        bool((ends.loss <= config.target).all()),
        "raise --target or --epochs",
    )
    values = rescaled["largest eigenvalue"]
    settled = (values / 4.0**values.exponent).sel(exponent=slice(SETTLED, None))
    spread = 100 * (settled.max("exponent") / settled.min("exponent") - 1)
    return [
        Claim(
            "At equal training loss, large batches end in sharper minima than small ones: the difference of "
            "the largest eigenvalues.",
            above(0, source=f"{KESKAR}: large-batch methods tend to sharp minimizers", looked_up=True),
            mean(gain["sharpness"], over="draw", paired=True),
            needs=reached,
        ),
        Claim(
            "They err more on the same test digits: the difference of the test errors.",
            above(0, unit="points", source=f"{KESKAR}: sharp minima generalize worse", looked_up=True),
            mean(gain["test error"], over="draw", paired=True),
            needs=reached,
        ),
        Claim(
            f"Rescaling by 2^j, j = 0 to {LAST}, changes no bit of the logits: how many of them differ.",
            equal_to(0, tolerance=0, source=DINH, looked_up=True),
            mean(rescaled.different.sum("exponent"), over="draw"),
        ),
        Claim(
            f"The largest eigenvalue over 4^j is constant from j = {SETTLED} on: its relative spread.",
            at_most(1, unit="%", source=f"{DINH}; the bar is this project's", looked_up=True),
            mean(spread, over="draw"),
        ),
        Claim(
            f"So the same function becomes sharper at will: the largest eigenvalue at j = {LAST} over the "
            "first.",
            at_least(1e5, unit="times", source=f"{DINH}; the bar is this project's", looked_up=True),
            mean(values.sel(exponent=LAST, drop=True) / values.sel(exponent=0, drop=True), over="draw"),
        ),
    ]


def figures(
    config: Config, ends: xr.Dataset, rescaled: xr.Dataset, shown: dict[str, np.ndarray], lab: Lab
) -> None:
    """The pictures."""
    figure, ((left, right),) = plots.canvas(2)
    for ax, (name, unit) in zip((left, right), (("sharpness", ""), ("test error", "%"))):
        values = ends[name].assign_attrs(unit=unit)
        plots.dots(values, x="batch", axes=ax, xlabel="batches")
    lab.figure("batches", figure, "The sharpness and the test error at equal training loss.")
    values = rescaled["largest eigenvalue"]
    power = values.isel(exponent=-1, drop=True).mean("draw") * 4.0 ** (values.exponent - LAST)
    lab.figure(
        "rescaled",
        plots.panel(
            values, x="exponent", over="draw", spread="each", log="y", xlabel="exponent j",
            beside={"∝ 4^j": power},
        ),
        "The largest eigenvalue of networks that are the same function to the bit.",
    )  # fmt: skip
    names = {
        "small": "small batches",
        "large": "large batches",
        "rescaled": f"small, rescaled by 2^{PICTURED}",
    }
    kinds = {"none": "directions of one length", "filter": "directions scaled to filters"}
    offsets = np.linspace(-1, 1, config.points)
    losses = xr.DataArray(
        [[shown[f"{kind}/{name}"] for name in names] for kind in kinds],
        {"direction": list(kinds), "network": list(names.values()), "offset": offsets},
        ("direction", "network", "offset"), name="training loss", attrs={"unit": "nats"},
    )  # fmt: skip
    lab.figure(
        "slices",
        plots.panel(
            losses, x="offset", hue="network", style="network", col="direction", titles=kinds, log="y"
        ),
        "The training loss along random directions: scaled to the norms of the filters, the picture does not "
        "see the rescaling.",
    )
