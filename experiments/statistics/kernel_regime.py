"""The wider a network, the closer its tangent kernel is to a fixed one, and its training to a linear model's.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: Jacot, Gabriel and Hongler, Neural tangent kernel: convergence and generalization in neural networks,
NeurIPS 2018; Lee, Xiao, Schoenholz, Bahri, Novak, Sohl-Dickstein and Pennington, Wide neural networks of any
depth evolve as linear models under gradient descent, NeurIPS 2019.

ReLU networks in the tangent kernel's parametrization: weights are standard normal, divided by the root of
half the number of inputs. Three figures are followed as they grow wider: the distance of the kernel at
initialization from the analytic one, relative to its Frobenius norm, for ten outputs; how far gradient
descent moves the kernel; and how far the outputs on other digits are from those of the network that is
linearized at its start, relative to what that has learned. The last two are of one hidden layer with one
output that tells even digits from odd ones, trained on half the sum of squares with steps of one over the
analytic kernel's largest eigenvalue. A slope is fitted in the logarithms, once for each draw. Beside this,
without a bar: the errors of kernel regression with the analytic kernel of one hidden layer, and of a network
of that shape that is trained as usual. The full form takes about fifteen minutes on two cores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, at_most, between, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import kernel_regression, neural_kernel, validation

OUTPUTS = 10
"""The number of outputs of the networks at initialization, over which their kernel is averaged."""
BATCH, RATE = 100, 1e-3
"""The minibatch of the networks trained as usual, and Adam's rate, which falls to zero along a cosine."""
KERNEL, NETWORK = "kernel regression", "trained network"
ORDER = "Lee et al. 2019: of the order of one over the width's root"


@dataclass(frozen=True)
class Config:
    widths: Annotated[tuple[int, ...], Range(2)] = (64, 128, 256, 512, 1024, 2048, 4096)
    """Numbers of units in a hidden layer."""
    layers: Annotated[tuple[int, ...], Range(1)] = (1, 2)
    """Numbers of hidden layers."""
    draws: Annotated[int, Range(1)] = 20
    """Number of initializations of each width whose kernels are compared with the analytic one."""
    compared: Annotated[int, Range(2, 1000)] = 100
    """Number of digits among which these kernels are compared."""
    trainings: Annotated[int, Range(1)] = 6
    """Number of networks of each width that are trained by gradient descent."""
    digits: Annotated[int, Range(2, 2000)] = 500
    """Number of digits that they are trained on; as many others are asked for."""
    steps: Annotated[int, Range(1)] = 1000
    """Number of steps of gradient descent."""
    regression: Annotated[int, Range(BATCH)] = 5000
    """Largest number of digits of kernel regression, and of the network beside it."""
    width: Annotated[int, Range(1)] = 1024
    """Number of units in a hidden layer of that network."""
    usual_steps: Annotated[int, Range(1)] = 1200
    """Number of steps of its training."""
    folds: Annotated[int, Range(1, 5)] = 5
    """Number of draws of digits for these two."""


QUICK = Config(
    widths=(64, 512), draws=20, trainings=4, digits=100, steps=300, regression=300, width=64,
    usual_steps=100, folds=2,
)  # fmt: skip


def apply(params: Sequence[jax.Array], x: jax.Array) -> jax.Array:
    """The outputs of a ReLU network in the tangent kernel's parametrization."""
    for weights in params[:-1]:
        x = jax.nn.relu(jnp.sqrt(2 / len(weights)) * (x @ weights))
    return jnp.sqrt(2 / len(params[-1])) * (x @ params[-1])


def initial(key: jax.Array, width: int, layers: int, outputs: int, inputs: int = 784) -> list[jax.Array]:
    """Standard normal weights."""
    sizes = (inputs, *[width] * layers, outputs)
    keys = jax.random.split(key, layers + 1)
    return [jax.random.normal(one, shape) for one, shape in zip(keys, pairwise(sizes))]


def half_squares(params: Any, data: Any) -> jax.Array:
    """Half the sum of squared differences from the targets."""
    return jnp.sum((apply(params, data[0]) - data[1]) ** 2) / 2


OBJECTIVE = training.stateless(half_squares)


@partial(jax.jit, static_argnames=("layers", "width"))
def deviations_of(keys: jax.Array, x: jax.Array, *, layers: int, width: int) -> jax.Array:
    """The distances of kernels at initialization from the analytic one, for each key."""
    analytic = neural_kernel.relu(x, x, layers).ntk

    def deviation(key: jax.Array) -> jax.Array:
        found = neural_kernel.empirical(apply, initial(key, width, layers, OUTPUTS), x)
        return distance(found / OUTPUTS, analytic)

    return jax.lax.map(deviation, keys)


def distance(one: Any, other: Any) -> Any:
    """The distance of one array from another, relative to that one's norm."""
    return jnp.linalg.norm(one - other) / jnp.linalg.norm(other)


def deviation(x: jax.Array, layers: int, width: int, key: jax.Array) -> np.ndarray:
    """The same for the keys of all draws."""
    return np.asarray(deviations_of(key, x, layers=layers, width=width))


def trained(config: Config, data: Any, asked: jax.Array, width: int, key: jax.Array) -> dict[str, float]:
    """What gradient descent does to the kernel and to the outputs, against the linearized network."""
    x, y = data
    largest = float(np.linalg.eigvalsh(np.asarray(neural_kernel.relu(x, x, 1).ntk))[-1])
    descent = steepest(1 / largest)
    start = training.init(initial(key, width, 1, 1), key, optimizer=descent)
    end = training.run(start, data, objective=OBJECTIVE, optimizer=descent, steps=config.steps)[0].params
    both = jnp.concatenate([x, asked])
    before, after = (neural_kernel.empirical(apply, params, both, x) for params in (start.params, end))
    first = apply(start.params, both)
    n = len(x)
    with jax.enable_x64(True):
        wide = [np.float64(one) for one in (before[:n], before[n:], y)]
        fitted, given = np.float64(first[:n]), np.float64(first[n:])
        time = config.steps / largest
        linear = np.asarray(neural_kernel.predict(*wide, time, fitted=fitted, start=given))
    outputs = np.asarray(apply(end, both))
    return {
        "change": float(distance(after[:n], before[:n])),
        "distance": float(np.linalg.norm(outputs[n:] - linear) / np.linalg.norm(linear - given)),
        "left": float(np.mean((outputs[:n] - np.asarray(y)) ** 2)),
    }


@cache
def steepest(rate: float) -> optax.GradientTransformation:
    """Gradient descent; one object for each rate, as programs are compiled for it."""
    return optax.sgd(rate)


def tangent_kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    """The tangent kernel of infinitely wide networks of one hidden layer."""
    return neural_kernel.relu(x, y, 1).ntk


@cache
def usual(width: int, steps: int) -> tuple[Any, Callable[..., Any], Any]:
    """A network, its objective and its optimizer."""
    network = networks.functional(partial(MLP, (784, width, OUTPUTS)))
    objective = training.objective(network.apply, training.cross_entropy)
    return network, objective, optax.adam(optax.cosine_decay_schedule(RATE, steps))


def errors(
    config: Config, digits: Any, draw: int, rng: np.random.Generator, key: jax.Array
) -> dict[str, float]:
    """Errors of kernel regression and of a trained network on the same digits, in percent."""
    size = min(config.regression, len(digits.train_labels))
    split = digits.draw(size, rng, fold=draw if digits.embedded else 0)
    x, asked = (flat(images) for images in (split.train_images, split.test_images))
    targets = np.eye(OUTPUTS)[split.train_labels] - 1 / OUTPUTS
    with jax.enable_x64(True):
        model = kernel_regression.interpolate(tangent_kernel, np.float64(x), targets)
        regressed = np.asarray(kernel_regression.predict(model, np.float64(asked)))
    network, objective, optimizer = usual(config.width, config.usual_steps)
    of_start, of_order = jax.random.split(key)
    start = training.init(network.init(of_start)[0], of_order, optimizer=optimizer)
    data = jnp.asarray(x), jnp.asarray(split.train_labels)
    options = {"objective": objective, "optimizer": optimizer, "steps": config.usual_steps, "batch": BATCH}
    params = training.run(start, data, **options)[0].params
    logits = training.predictor(network.apply)(params, asked)
    found = {KERNEL: regressed, NETWORK: np.asarray(logits)}
    return {
        name: 100 * float(validation.error_rate(one.argmax(1), split.test_labels))
        for name, one in found.items()
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    train, test = flat(digits.train_images), flat(digits.test_images)
    compared = jnp.asarray(train[: config.compared])
    deviations = lab.sweep(
        "deviation", partial(deviation, compared), layers=config.layers, width=config.widths,
        draw=range(config.draws), together="draw",
    )  # fmt: skip
    parity = np.where(digits.train_labels[: config.digits] % 2 == 0, 1, -1).astype(np.float32)
    data = jnp.asarray(train[: config.digits]), jnp.asarray(parity[:, None])
    asked = jnp.asarray(test[: config.digits])
    moved = lab.sweep(
        "training", partial(trained, config, data, asked), width=config.widths, draw=range(config.trainings)
    )
    regression = partial(errors, config, digits)
    beside = lab.sweep("regression", regression, draw=range(config.folds), unit="%")
    notes(config, moved, beside, digits, lab)
    figures(deviations, moved, beside, lab)
    return claims(config, deviations, moved)


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def slopes(values: xr.DataArray) -> xr.DataArray:
    """Slopes of the logarithms against those of the width, one for each draw."""
    places = np.log(values.width)
    places = places - places.mean()
    return (np.log(values) * places).sum("width", skipna=False) / (places**2).sum()


def claims(config: Config, deviations: xr.DataArray, moved: xr.Dataset) -> list[Claim]:
    several = Need("several widths", len(set(config.widths)) > 1, "give more --widths")
    return [
        Claim(
            "At initialization the tangent kernel's relative distance from the analytic one falls with the "
            "root of the width: the slope of the logarithms.",
            between(-0.6, -0.4, source=f"{ORDER}; the tenth is this project's"),
            mean(slopes(deviations), over="draw") if several.met else None,
            needs=several,
        ),
        *(
            Claim(
                f"{statement}: the slope of the logarithms.",
                at_most(-0.4, source=f"{ORDER}, at least; the tenth is this project's"),
                mean(slopes(moved[name]), over="draw") if several.met else None,
                needs=several,
            )
            for name, statement in {
                "change": "Training moves the kernel of a network the less, the wider it is",
                "distance": "The wider a network, the closer its outputs on other digits are to those of the "
                "linearized one",
            }.items()
        ),
    ]


def notes(config: Config, moved: xr.Dataset, beside: xr.Dataset, digits: Any, lab: Lab) -> None:
    """Notes for the findings: how far training went, and the errors beside each other."""
    ends = [moved.isel(width=place).mean("draw") for place in (0, -1)]
    lab.note(
        "Gradient descent leaves a mean squared error of "
        + " and ".join(f"{float(one.left):.3f} at width {int(one.width)}" for one in ends)
        + "; there the kernel moves by "
        + " and ".join(f"{100 * float(one.change):.1f} %" for one in ends)
        + ", and the outputs differ from the linearized network's by "
        + " and ".join(f"{100 * float(one.distance):.1f} %" for one in ends)
        + "."
    )
    told = " and ".join(
        f"{mean(beside[name], over='draw', overlap=digits.shared)[0].text} % ({name})" for name in beside
    )
    size = min(config.regression, len(digits.train_labels))
    lab.note(f"From {size:,} digits, the test errors with one hidden layer are {told}.")


def figures(deviations: xr.DataArray, moved: xr.Dataset, beside: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    axes = {"x": "width", "over": "draw", "log": "xy", "xlabel": "units in a hidden layer"}
    distances = deviations.rename("relative distance")
    lab.figure(
        "deviation",
        plots.panel(distances, hue="layers", beside=roots(distances), **axes),
        "The distance of the tangent kernel at initialization from the analytic one.",
    )
    names = {"change": "kernel, from its start", "distance": "outputs, from the linearized network's"}
    both = moved[list(names)].to_dataarray("of").assign_coords(of=list(names.values()))
    both = both.rename("relative distance")
    lab.figure(
        "training",
        plots.panel(both, hue="of", beside=roots(both), **axes),
        "How far training moves the kernel, and the trained network's outputs from the linearized one's.",
    )
    rates = beside.to_dataarray("method").rename("test error").assign_attrs(unit="%")
    lab.figure(
        "regression",
        plots.dots(rates, x="method", xlabel=""),
        "Test errors of regression with the analytic tangent kernel and of a network of the same shape.",
    )


def roots(values: xr.DataArray) -> dict[str, xr.DataArray]:
    """Lines of the slope -1/2 through the means at the first width."""
    first = values.mean("draw").isel(width=0, drop=True)
    return {"slope -1/2": first * (values.width / values.width[0]) ** -0.5}
