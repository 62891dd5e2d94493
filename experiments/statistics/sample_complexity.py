"""Scattering reaches a given error with a fraction of the digits that pixels need.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: J. Bruna and S. Mallat, Invariant scattering convolution networks, IEEE PAMI 35(8), 2013, table 4.

The test error of digits against the number n of training digits, for each representation of the package:
pixels, sparse codes of patches, scattering coefficients, and networks that are trained. A support vector
machine with a Gaussian kernel, nearest affine spaces, a linear classifier and the nearest neighbor see the
first three. All that is learned, dictionaries among it, is learned from the n digits, and parameters are
chosen by cross-validation on them; the dictionaries' size and penalty and the networks' steps and rate were
chosen on training digits of one split. Errors in % are fitted by c n^-a in each draw, whose sets of digits
are nested; the number of digits that an error takes is interpolated in each draw, on logarithmic scales.
The full form takes about fifteen minutes on two cores; --data-dir gives the whole MNIST.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy import stats

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.experiments.harmonic import scattering_mnist
from jaxtheory.harmonic import decorrelation, scattering2d
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_least, below, equal_to, experiment, mean, plots
from jaxtheory.lab.blocks import in_blocks
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP
from jaxtheory.sparse import kmeans, learning, patches, pursuit
from jaxtheory.sparse.dictionary_learning import online, sample_atoms
from jaxtheory.statistics import linear_probe, neighbors

PIXELS, CODES, SCATTERING = "pixels", "sparse codes", "scattering"
SVM, AFFINE, LINEAR, NEIGHBOR = "SVM", "affine spaces", "linear", "nearest neighbor"
NETWORKS = {
    "perceptron": partial(MLP, (mnist.SIDE**2, 512, 10)),
    "CNN": partial(CNN, (mnist.SIDE, mnist.SIDE), (12, 24), kernel_size=5, head=(64, 10)),
}
TARGETS = (5.0, 2.0)
"""The errors in % for which the numbers of digits are sought."""
PATCH, STRIDE, GRID = 6, 2, 4
"""The side of patches and the step between them, and the rows of cells over which their codes are summed."""
PENALTY = 0.2
"""The penalty on codes of patches, whose pixels range from 0 to 1."""
SEEN = 10_000
"""The number of patches from which a dictionary is learned: of twice as many the half of greater contrast."""
BATCH = 50
"""The number of digits in a step of a network's training."""
RATE = 2e-3
"""Adam's rate at the start, from which it falls to zero along a half-wave of a cosine."""
BLOCK = 250
"""The number of digits that are coded or classified at a time."""
FEW = 5000
"""The largest size in the published table at which its scattering errs less than its trained network."""
CONVNET = xr.DataArray([7.18, 3.21, 2.53, 1.52, 0.85], {"size": [300, 1000, 2000, 5000, 10_000]}, ("size",))
"""Published errors in % of a trained convolutional network, from the same table."""
SOURCE = scattering_mnist.SOURCE
PROJECT = "this project's expectation"


@dataclass(frozen=True)
class Config:
    sizes: Annotated[tuple[int, ...], Range(200, 12_000)] = (250, 500, 1000, 2000, 4000, 8000)
    """The numbers of training digits; those larger than the data provide are left out."""
    draws: Annotated[int, Range(2, 5)] = 5
    """The number of random training sets of each size; the embedded digits have test digits for each."""
    tested: Annotated[int, Range(50)] = 2000
    """The largest number of test digits; the 5,000 embedded digits have 1,000 in each draw."""
    coded: bool = True
    """Whether sparse codes are classified, too."""
    further: tuple[Literal[AFFINE, LINEAR, NEIGHBOR], ...] = (AFFINE, LINEAR, NEIGHBOR)
    """The names of the classifiers beside the support vector machine."""
    folds: Annotated[int, Range(2)] = 5
    """The number of folds of the cross-validation."""
    J: Annotated[int, Range(2, 5)] = 3
    """The number of scales of scattering: coefficients are averaged over 2**J pixels."""
    L: Annotated[int, Range(1)] = 6
    """The number of angles of the wavelets."""
    atoms: Annotated[int, Range(2)] = 64
    """The number of atoms of the dictionary of patches."""
    learned: Annotated[int, Range(1)] = 100
    """The number of steps in which a dictionary is learned, from 256 patches each."""
    steps: Annotated[int, Range(1)] = 1000
    """The number of steps in which a network is trained, with 50 digits each."""


QUICK = Config(sizes=(250, 500), draws=3, tested=1000, coded=False, further=(), folds=3, steps=60)


def scattered(config: Config, images: np.ndarray) -> np.ndarray:
    """Scattering coefficients up to order 2 as the published recipe has them, (n, paths, positions)."""
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    bank = scattering2d.filter_bank(images.shape[1:], config.J, config.L)

    def program(some: np.ndarray) -> jax.Array:
        return decorrelation.cosines(scattering2d.scatter(bank, some), J=config.J, L=config.L)

    found = in_blocks(program, images, each=BLOCK)
    return found.reshape(*found.shape[:2], -1)


def dictionary(config: Config, images: np.ndarray, key: jax.Array) -> jax.Array:
    """A dictionary of patches, learned without labels."""
    for_patches, for_start, for_batches = jax.random.split(key, 3)
    drawn = np.asarray(patches.sample(for_patches, images[..., None], 2 * SEEN, PATCH))
    seen = drawn[np.argsort(-drawn.std(-1))[:SEEN]]
    learner = online(PENALTY, nonnegative=True)
    start = learner.init(sample_atoms(for_start, seen, config.atoms))
    return learning.run(learner, start, seen, for_batches, steps=config.learned, batch=256)[0].dictionary


@jax.jit
def pooled(atoms: jax.Array, images: jax.Array) -> jax.Array:
    """Sparse codes of patches, summed over the cells of a grid, (n, atoms, cells)."""
    some = patches.extract(images[..., None], PATCH)[..., ::STRIDE, ::STRIDE, :]
    codes = pursuit.lasso(atoms, some, PENALTY, tolerance=1e-2, nonnegative=True).codes
    sums = kmeans.pool(codes, GRID).reshape(len(images), -1, len(atoms))
    return jnp.swapaxes(sums, 1, 2)


def classified(
    classifier: str, train: np.ndarray, labels: np.ndarray, test: np.ndarray, key: jax.Array, **options: int
) -> np.ndarray:
    """Predictions of a classifier from features (n, paths, positions)."""
    if classifier == SVM:
        return scattering_mnist.vector_machine(train, labels, test, key, **options)[0]
    if classifier == AFFINE:
        return scattering_mnist.affine_spaces(train, labels, test, key, **options)[0]
    train, test = (part.reshape(len(part), -1) for part in (train, test))
    if classifier == LINEAR:
        return np.asarray(linear_probe.predict(linear_probe.fit(train, labels, classes=mnist.CLASSES), test))
    return np.asarray(neighbors.predict(train, labels, test, classes=mnist.CLASSES, neighbors=1))


def fixed(
    config: Config, digits: mnist.Digits, coefficients: np.ndarray,
    representation: str, size: int, draw: int, key: jax.Array, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Test errors in % of the classifiers on a representation, by classifier."""
    split = digits.draw(size, rng, fold=draw)
    places = split.train_indices, split.test_indices[: config.tested]
    labels, wanted = (digits.labels[some] for some in places)
    for_atoms, for_folds = jax.random.split(key)
    if representation == SCATTERING:
        train, test = (coefficients[some] for some in places)
    elif representation == CODES:
        atoms = dictionary(config, split.train_images, for_atoms)
        train, test = (in_blocks(partial(pooled, atoms), digits.images[some], each=BLOCK) for some in places)
    else:
        train, test = (digits.images[some].reshape(len(some), 1, -1) for some in places)
    options = {"folds": config.folds, "tuning": 1000 if digits.embedded else 10_000}
    predicted = [classified(one, train, labels, test, for_folds, **options) for one in (SVM, *config.further)]
    return np.array([100 * np.mean(one != wanted) for one in predicted])


@cache
def trainer(network: str, steps: int) -> tuple[networks.bridge.Functional, Any, Any]:
    """A network, its optimizer and its compiled step: processors convolve slowly inside of a loop."""
    functions = networks.functional(NETWORKS[network])
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    objective = training.objective(functions.apply, training.cross_entropy)
    step = jax.jit(partial(training.step, objective=objective, optimizer=optimizer), donate_argnums=0)
    return functions, optimizer, step


def order_of(n: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """The digits of each step, (steps, batch): each epoch goes through them in a new order."""
    batch = min(BATCH, n)
    epochs = [rng.permutation(n)[: n - n % batch] for _ in range(-(-steps // (n // batch)))]
    return np.concatenate(epochs).reshape(-1, batch)[:steps]


def trained(
    config: Config, digits: mnist.Digits,
    network: str, size: int, draw: int, key: jax.Array, rng: np.random.Generator,
) -> dict[str, float]:  # fmt: skip
    """Test error in % of a network after its training, and the loss of its last steps."""
    split = digits.draw(size, rng, fold=draw)
    (init, apply), optimizer, step = trainer(network, config.steps)
    shape = (-1, mnist.SIDE**2) if network == "perceptron" else (-1, mnist.SIDE, mnist.SIDE)
    images, losses = split.train_images.reshape(shape), []
    state = training.init(init(key)[0], key, optimizer=optimizer)
    for chosen in order_of(size, config.steps, rng):
        state, metrics = step(state, (images[chosen], split.train_labels[chosen]))
        losses.append(metrics["loss"])
    predict = partial(training.predictor(apply), state.params)
    logits = in_blocks(predict, split.test_images[: config.tested].reshape(shape), each=BLOCK)
    wrong = logits.argmax(-1) != split.test_labels[: config.tested]
    return {"error": 100 * wrong.mean(), "loss": float(np.mean(losses[-20:]))}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    most = len(digits.train_labels)
    sizes = sorted({size for size in config.sizes if size <= most})
    if len(sizes) < 2:
        raise ValueError(f"sizes are {config.sizes}: take at least two that are at most {most:,}")
    drawn = {"size": sizes, "draw": range(config.draws), "stream": "digits", "unit": "%"}
    coefficients = lab.cached("coefficients", partial(scattered, config, digits.images))
    # Whatever is compared sees the same digits, and larger training sets contain the smaller ones of a draw.
    errors = lab.sweep(
        "representations", partial(fixed, config, digits, coefficients), **drawn,
        representation=[PIXELS, *[CODES] * config.coded, SCATTERING], common=("representation", "size"),
        dims=("classifier",),
    ).assign_coords(classifier=[SVM, *config.further])  # fmt: skip
    learned = lab.sweep(
        "networks", partial(trained, config, digits), **drawn, network=tuple(NETWORKS),
        common=("network", "size"),
    )  # fmt: skip
    models = by_model(errors, learned.error)
    over_draws = partial(mean, over="draw", overlap=digits.shared)
    exponents = exponents_of(models, min(config.tested, len(digits.test_labels)))
    notes(models, exponents, over_draws, lab)
    for name, losses in learned.loss.max("draw").groupby("network"):
        lab.note(f"{name}: training losses of at most {float(losses.max()):.2g} nats at the end")
    figures(errors, models, exponents, lab)
    return order_claims(config, models, over_draws) + exponent_claims(models, exponents, over_draws)


def named(representation: str, classifier: str = SVM) -> str:
    return f"{representation}, {classifier}"


def by_model(errors: xr.DataArray, learned: xr.DataArray) -> xr.DataArray:
    """All errors along one axis: of each representation with each classifier, and of each network."""
    pairs = [(one, other) for one in errors.representation.values for other in errors.classifier.values]
    parts = [errors.sel(representation=one, classifier=other, drop=True) for one, other in pairs]
    parts += [learned.sel(network=name, drop=True) for name in learned.network.values]
    names = [named(*pair) for pair in pairs] + learned.network.values.tolist()
    joined = xr.concat(parts, xr.DataArray(names, dims="model", name="model"))
    return joined.rename("test error").assign_attrs(unit="%")


def exponents_of(errors: xr.DataArray, tested: int | float = math.inf) -> xr.DataArray:
    """The exponents a of the errors' fits by c n^-a; no error counts as less than half a test digit."""
    logs = np.log(np.maximum(errors, 50 / tested)).assign_coords(size=np.log(errors["size"].values))
    return -logs.polyfit("size", 1).polyfit_coefficients.sel(degree=1, drop=True).rename("exponent")


def needed(errors: xr.DataArray, target: float) -> xr.DataArray:
    """The digits at which errors first come down to a target, at least the least size; infinite if never."""
    sizes = np.log(errors["size"].values.astype(float))

    def first(values: np.ndarray) -> float:
        below = np.flatnonzero(values <= target)
        if not below.size:
            return math.inf
        if not (k := below[0]):
            return math.exp(sizes[0])
        return math.exp(np.interp(-math.log(target), -np.log(values[k - 1 : k + 1]), sizes[k - 1 : k + 1]))

    errors = np.maximum(errors, 1e-9)  # for the logarithm
    return xr.apply_ufunc(first, errors, input_core_dims=[["size"]], vectorize=True)


def notes(models: xr.DataArray, exponents: xr.DataArray, mean: Callable[..., Any], lab: Lab) -> None:
    """Exponents with their intervals, and the digits that each model needs, in words."""
    for name in models.model.values:
        (one,) = mean(exponents.sel(model=name, drop=True))
        told = "{}: a = {:.2f} (95 %: {:.2f} to {:.2f})".format(name, one.value, *interval(one))
        for target in TARGETS:
            numbers = needed(models.sel(model=name, drop=True), target)
            told += f"; {target:g} % {enough(numbers, int(models['size'].min()), mean)}"
        lab.note(told)


def enough(numbers: xr.DataArray, least: int, mean: Callable[..., Any]) -> str:
    """The numbers of digits that an error takes in each draw, infinite where it is not reached, in words."""
    reached = numbers[np.isfinite(numbers)]
    if not reached.size:
        return "not reached"
    told = f"with {math.exp(np.log(reached).mean()):,.0f} digits"
    if reached.size < numbers.size:
        return f"{told} in {reached.size} of {numbers.size} draws, else not reached"
    if float(reached.max()) <= least:
        return f"{told} or fewer"
    return "{} (95 %: {:,.0f} to {:,.0f})".format(told, *map(math.exp, interval(*mean(np.log(reached)))))


def interval(one: Any) -> tuple[float, float]:
    """Student's interval of 95 % for a measured mean."""
    half = float(stats.t.ppf(0.975, one.n - 1)) * one.standard_error
    return one.value - half, one.value + half


def in_table() -> dict[str, xr.DataArray]:
    """The published errors in % with up to 5,000 digits, by the names of our models."""
    table = scattering_mnist.TABLE_4.sel(classifier=SVM, size=slice(0, FEW)).drop_vars("classifier")
    svm = {PIXELS: "pixels", SCATTERING: "order 2"}
    errors = {named(ours): table.sel(representation=theirs, drop=True) for ours, theirs in svm.items()}
    return errors | {"CNN": CONVNET.sel(size=slice(0, FEW))}


def order_claims(config: Config, models: xr.DataArray, mean: Callable[..., Any]) -> list[Claim]:
    """What errs less than what, at every size."""
    fewest = [size for size in models["size"].values.tolist() if size <= FEW]
    few = Need(f"a size up to {FEW:,}", bool(fewest), "give one in --sizes")
    coded = Need("sparse codes", config.coded, "give --coded")
    pixels, codes, scattering = map(named, (PIXELS, CODES, SCATTERING))
    table = {"source": f"{SOURCE} (there so for each size up to {FEW:,})", "looked_up": True}
    ours = {"source": PROJECT}
    orders = [
        ("With the same support vector machine, scattering errs less than pixels", scattering, pixels, table),
        ("With it, sparse codes of patches err less than pixels", codes, pixels, ours),
        ("With it, scattering, which learns nothing, errs less than sparse codes", scattering, codes, ours),
        (f"Up to {FEW:,} digits, scattering with it errs less than the CNN", scattering, "CNN", table),
        ("The CNN, which shares its weights, errs less than the perceptron", "CNN", "perceptron", ours),
    ]
    found = []
    for statement, one, other, source in orders:
        needs = [coded] * (codes in (one, other)) + [few] * (other == "CNN")
        measured = None
        if all(need.met for need in needs):
            apart = models.sel(model=one, drop=True) - models.sel(model=other, drop=True)
            measured = mean(apart.sel(size=fewest) if other == "CNN" else apart, paired=True)
        expected = below(0, unit="points", **source)
        found.append(Claim(f"{statement} at every size.", expected, measured, needs=needs))
    return found


def exponent_claims(models: xr.DataArray, exponents: xr.DataArray, mean: Callable[..., Any]) -> list[Claim]:
    """How fast errors fall, and how many digits they need, beside the published table."""
    pixels, scattering = map(named, (PIXELS, SCATTERING))
    table, sizes = in_table(), models["size"].values.tolist()
    wide = Need("sizes over a factor of eight", max(sizes) >= 8 * min(sizes), "give more --sizes")
    theirs = xr.concat(list(map(exponents_of, table.values())), xr.Variable("model", list(table)))
    ours = exponents.sel(model=list(table))
    # Where pixels do not come down to the target, the largest size is less than what they need.
    numbers = [needed(models.sel(model=one, drop=True), TARGETS[0]) for one in (pixels, scattering)]
    factor = np.minimum(numbers[0], max(sizes)) / np.minimum(numbers[1], max(sizes))
    known = float(needed(table[pixels], TARGETS[0]) / needed(table[scattering], TARGETS[0]))
    told = " against ".join(f"{float(theirs.sel(model=one)):.2f}" for one in ("CNN", scattering))
    return [
        Claim(
            "The exponents are those of the published errors: measured less published.",
            equal_to(
                0, tolerance=0.1, looked_up=True,
                source=f"{SOURCE}, fitted from 300 to 5,000 digits; the tolerance is this project's",
            ),
            mean(ours - theirs), needs=wide,
        ),
        Claim(
            "The trained CNN's error falls faster than that of scattering: the difference of the exponents.",
            above(0, source=f"{SOURCE}, fitted: {told}", looked_up=True),
            mean(ours.sel(model="CNN", drop=True) - ours.sel(model=scattering, drop=True), paired=True),
            needs=wide,
        ),
        Claim(
            f"For {TARGETS[0]:g} % error, pixels need several times the digits that scattering needs.",
            at_least(
                round(known / 2, 1), unit="times", looked_up=True,
                source=f"{SOURCE}: {known:.1f} times, interpolated; half of it is this project's bar",
            ),
            mean(factor), needs=wide,
        ),
    ]  # fmt: skip


def figures(errors: xr.DataArray, models: xr.DataArray, exponents: xr.DataArray, lab: Lab) -> None:
    """The pictures."""
    labels = {"x": "size", "over": "draw", "log": "xy", "xlabel": "training digits"}
    shown = [*map(named, errors.representation.values), *NETWORKS]
    published = xr.concat(list(in_table().values()), xr.Variable("model", list(in_table())))
    published.attrs["source"] = scattering_mnist.TABLE_4.attrs["source"]
    figure, ((ax,),) = plots.canvas(size=(5.6, 5.2))
    targets = {f"{target:g} %": target for target in TARGETS}
    shown = models.sel(model=shown)
    plots.panel(shown, hue="model", published=published, levels=targets, axes=ax, **labels)
    ax.set_ylim(bottom=0.1)  # room for the legend
    told = "Test error by the number of training digits, with 95 % intervals; pale lines are the paper's."
    lab.figure("error_by_size", figure, told)
    lab.figure(
        "classifiers",
        plots.panel(errors.rename("test error"), hue="classifier", col="representation", **labels),
        "The same with each classifier of each representation.",
    )
    lab.figure(
        "exponents",
        plots.dots(exponents, x="model", horizontal=True, ylabel="exponent of the fall with n"),
        "The exponents of the errors' fall, with Student's interval over draws; dots are draws.",
    )
