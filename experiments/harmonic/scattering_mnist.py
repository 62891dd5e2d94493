"""Scattering classifies digits from few examples better than pixels do.

Lecture: harmonic analysis, "Scattering Transform: Mallat '12".
Source: J. Bruna and S. Mallat, Invariant scattering convolution networks, IEEE PAMI 35(8), 2013, table 4.

Two classifiers, nearest affine spaces (the paper's PCA classifier) and a support vector machine with a
Gaussian kernel, see digits as pixels, as scattering coefficients up to order 1 and up to order 2. The recipe
is the paper's: six angles, averages over eight pixels, a cosine transform over scale and angle of which the
lower half is kept, each path divided by its largest norm; parameters by cross-validation on the training part
only.
"""

import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from sklearn.svm import SVC

from jaxtheory.data import mnist
from jaxtheory.harmonic import decorrelation, scattering2d
from jaxtheory.lab import Claim, Lab, Need, Range, at_most, below, experiment, mean, plots, published
from jaxtheory.statistics import affine, validation

REPRESENTATIONS = ("pixels", "order 1", "order 2")
CLASSIFIERS = ("affine", "SVM")
SOURCE = "Bruna and Mallat 2013, table 4"
TABLE_4 = xr.DataArray(
    [
        [[14.5, 15.4], [5.7, 8.0], [4.7, 5.6]],
        [[7.2, 8.2], [2.35, 4.0], [2.3, 2.6]],
        [[5.8, 6.5], [1.7, 2.6], [1.3, 1.8]],
        [[4.9, 4.0], [1.6, 1.6], [1.03, 1.4]],
        [[4.55, 3.11], [1.5, 1.23], [0.88, 1.0]],
        [[4.25, 2.2], [1.4, 0.96], [0.79, 0.58]],
        [[4.1, 1.7], [1.36, 0.75], [0.74, 0.53]],
        [[4.3, 1.4], [1.34, 0.62], [0.7, 0.43]],
    ],
    [
        ("size", [300, 1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000]),
        ("representation", list(REPRESENTATIONS)),
        ("classifier", list(CLASSIFIERS)),
    ],
    attrs={"source": "Bruna and Mallat 2013"},
)
"""Published errors in %."""
TESTED = (300, 1000, 5000, 10_000, 60_000)
"""The sizes at which the published errors at order 2 are claims."""
DIMENSIONS = (5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180)
"""Dimensions of the affine spaces that cross-validation chooses from."""
WIDTHS = (0.5, 1.0, 2.0, 4.0)
"""Inverse squared widths of the Gaussian kernel that cross-validation chooses from, over the dimension."""
SLACK = 10.0
"""The support vector machine's C."""
AT_ONCE = 12_000
"""Up to this many digits the kernel matrix is formed by one product; beyond it libsvm computes its rows."""


@dataclass(frozen=True)
class Config:
    sizes: Annotated[tuple[int, ...], Range(100, 60_000)] = (300, 1000, 4000, 5000, 10_000, 60_000)
    """The numbers of training digits; those larger than the data provide are left out."""
    draws: Annotated[int, Range(2)] = 10
    """The number of random training sets of each size; the embedded digits give five at most, each with test
    digits of its own, and the whole MNIST fewer of the large sizes."""
    J: Annotated[int, Range(2, 5)] = 3
    """The number of scales: coefficients are averaged over 2**J pixels."""
    L: Annotated[int, Range(1)] = 6
    """The number of angles of the wavelets."""
    folds: Annotated[int, Range(2)] = 5
    """The number of folds of the cross-validation."""


QUICK = Config(sizes=(300,), draws=5, folds=3)


def affine_spaces(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, key: jax.Array, *, folds: int, tuning: int
) -> tuple[np.ndarray, float]:
    """Predictions by the nearest affine space, and the cross-validated error in % on the first digits."""
    scale = np.maximum(np.linalg.norm(train, axis=2).max(axis=0), 1e-12)[:, None]
    train, test = ((part / scale).reshape(len(part), -1) for part in (train, test))
    tried = [dimension for dimension in DIMENSIONS if dimension <= train.shape[1]]

    def predicted(number: int, training: Any, queries: Any) -> np.ndarray:
        # A bound by the number of digits alone, so that draws and folds share a compiled program.
        capacity = max(number // 6 + 8, np.bincount(labels[:number]).max())
        options = {"classes": mnist.CLASSES, "dimension": tried[-1], "capacity": int(capacity)}
        model = affine.fit(train[:number], labels[:number], where=training, **options)
        return np.asarray(affine.distances(model, queries)).argmin(-1)[:, tried]

    def errors(number: int) -> np.ndarray:
        """Cross-validated errors in % for each dimension."""

        def losses(training: Any, held: Any) -> np.ndarray:
            return 100.0 * (predicted(number, training, train[held]) != labels[held][:, None])

        return np.asarray(validation.cross_validate(losses, number, key, folds=folds).mean)

    validated = errors(len(train))
    few = validated if len(train) <= tuning else errors(tuning)
    everything = np.ones(len(train), bool)
    return predicted(len(train), everything, test)[:, np.argmin(validated)], float(few.min())


def vector_machine(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, key: jax.Array, *, folds: int, tuning: int
) -> tuple[np.ndarray, float]:
    """Predictions by a support vector machine with a Gaussian kernel, and the cross-validated error in %."""
    low, high = train.min(axis=0), train.max(axis=0)
    scale = 2 / np.maximum(high - low, 1e-6)
    train, test = (((part - low) * scale - 1).reshape(len(part), -1) for part in (train, test))
    features, number = train.shape[1], min(tuning, len(train))

    def kernel(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
        return np.exp(-width / features * np.maximum(squared, 0))

    few = [kernel(train[:number], train[:number], width) for width in WIDTHS]

    def losses(training: Any, held: Any) -> np.ndarray:
        a = np.flatnonzero(training)
        machines = [SVC(C=SLACK, kernel="precomputed").fit(one[np.ix_(a, a)], labels[a]) for one in few]
        predicted = [machine.predict(one[np.ix_(held, a)]) for machine, one in zip(machines, few)]
        return 100.0 * (np.stack(predicted, -1) != labels[held][:, None])

    validated = np.asarray(validation.cross_validate(losses, number, key, folds=folds).mean)
    width = WIDTHS[int(validated.argmin())]
    if len(train) > AT_ONCE:
        machine = SVC(C=SLACK, gamma=width / features, cache_size=6000).fit(train, labels)
        return machine.predict(test), float(validated.min())
    machine = SVC(C=SLACK, kernel="precomputed").fit(kernel(train, train, width), labels)
    return machine.predict(kernel(test, train, width)), float(validated.min())


def classified(
    digits: mnist.Digits, features: dict[str, np.ndarray], folds: int,
    representation: str, classifier: str, size: int, draw: int, key: jax.Array, rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Error in %, which test digits are wrong, and the cross-validated error on the first training digits."""
    split = digits.draw(size, rng, fold=draw)
    x, labels = features[representation], digits.labels
    classify = {"affine": affine_spaces, "SVM": vector_machine}[classifier]
    train, test = split.train_indices, split.test_indices
    tuning = 1000 if digits.embedded else 10_000
    predicted, validated = classify(x[train], labels[train], x[test], key, folds=folds, tuning=tuning)
    wrong = predicted != labels[test]
    return {"error": 100 * wrong.mean(), "wrong": wrong, "validated": validated}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    padded = np.pad(digits.images, ((0, 0), (2, 2), (2, 2)))
    bank = scattering2d.filter_bank(padded.shape[1:], config.J, config.L)
    coefficients = lab.cached("coefficients", lambda: np.asarray(scattering2d.scatter(bank, padded)))
    parts = np.array_split(coefficients, -(-len(coefficients) // AT_ONCE))
    features = {"pixels": digits.images.reshape(len(padded), 1, -1)}
    for order in (1, 2):
        kept = [decorrelation.cosines(part, J=config.J, L=config.L, order=order) for part in parts]
        features[f"order {order}"] = np.concatenate([one.reshape(*one.shape[:2], -1) for one in kept])
    most = len(digits.train_labels)
    # All of the whole MNIST is one training set; of other sizes it gives no more than are nearly independent.
    draws = {
        size: min(config.draws, mnist.FOLDS if digits.embedded else max(1, 30_000 // size))
        for size in config.sizes
        if size <= most
    }
    # All methods see the same digits, and larger training sets contain the smaller ones of the same draw.
    points = [
        {"representation": representation, "classifier": classifier, "size": size, "draw": draw}
        for classifier, representation in itertools.product(CLASSIFIERS, REPRESENTATIONS)
        for size, number in draws.items()
        for draw in range(number)
    ]
    errors = lab.sweep(
        "errors",
        partial(classified, digits, features, config.folds),
        points=points,
        common=("representation", "classifier", "size"),
        unit="%",
        dims={"wrong": ("digit",)},
    )
    panel = plots.panel(
        errors["error"].rename("test error"),
        x="size",
        hue="representation",
        col="classifier",
        over="draw",
        published=TABLE_4,
        log="xy",
        xlabel="training digits",
        titles={"affine": "Nearest affine space", "SVM": "Support vector machine"},
    )
    caption = "Error against the number of training digits, with 95 % intervals; pale lines are the paper's."
    lab.figure("error_by_size", panel, caption)
    lab.figure(
        "scattering_disks",
        plot_disks(bank, padded[0]),
        "The coefficients of a digit at orders 1 and 2, each average's paths on a disk: scale along the "
        "radius, coarse inside, angle around; at order 2 each path's place is split by its second wavelet.",
    )
    caption = "The wavelets' transforms, and how much of each frequency's energy the bank keeps."
    lab.figure("bank", plot_bank(bank), caption)
    whole = Need("the whole MNIST", not digits.embedded, "give its folder as --data-dir")
    return [
        *order_claims(errors, [size for size, number in draws.items() if number > 1], digits.shared),
        few_claim(errors, digits),
        whole_claim(errors, whole),
        *published_claims(errors, whole),
    ]


def further(values: xr.DataArray) -> xr.DataArray:
    """What each order changes."""
    return values.sel(representation=list(REPRESENTATIONS)).diff("representation")


def order_claims(errors: xr.Dataset, sizes: list[int], overlap: float) -> list[Claim]:
    """With the same classifier, each further order helps."""
    change = further(errors["error"].sel(size=sizes))
    return [
        Claim(
            f"With the {classifier} classifier, {better} errs less than {worse} at every size.",
            below(0.0, source=f"{SOURCE} (there so for each size)", unit="%", looked_up=True),
            mean(
                change.sel(classifier=classifier, representation=better, drop=True),
                over="draw",
                paired=True,
                overlap=overlap,
            )
            if sizes
            else None,
            needs=Need("several training sets of one size", bool(sizes), "give smaller --sizes"),
        )
        for classifier in CLASSIFIERS
        for better, worse in (("order 2", "order 1"), ("order 1", "pixels"))
    ]


def whole_claim(errors: xr.Dataset, whole: Need) -> Claim:
    """All training digits are one training set: what is drawn are the test digits."""
    is_there = 60_000 in errors["size"]
    wrong = errors["wrong"].sel(size=60_000, draw=0, drop=True) if whole.met and is_there else None
    return Claim(
        "With all 60,000 digits each further order errs less, too, compared digit by digit.",
        below(0.0, source=f"{SOURCE} (there so)", unit="%", looked_up=True),
        None if wrong is None else mean(100.0 * further(wrong), over="digit", paired=True),
        needs=(whole, Need("a size of 60,000", is_there or not whole.met, "give it in --sizes")),
    )


def few_claim(errors: xr.Dataset, digits: mnist.Digits) -> Claim:
    """The error on embedded digits of the classifier that cross-validation prefers, draw by draw."""
    is_there = 4000 in errors["size"]
    chosen = None
    if digits.embedded and is_there:
        both = errors.sel(representation="order 2", size=4000)
        error = both["error"].isel(classifier=both["validated"].argmin("classifier"))
        chosen = mean(error, over="draw", overlap=digits.shared)
    return Claim(
        "4,000 of the embedded digits suffice for 1.6 % error, the classifier chosen by cross-validation.",
        at_most(1.6, unit="%", source=f"our own bar; {SOURCE} has 1.03 % at 5,000", looked_up=True),
        chosen,
        needs=(
            Need("the embedded digits", digits.embedded, "leave out --data-dir"),
            Need("a size of 4,000", is_there, "give it in --sizes"),
        ),
    )


def published_claims(errors: xr.Dataset, whole: Need) -> list[Claim]:
    """The order-2 columns of the paper's table."""
    claims, source = [], {"unit": "%", "source": SOURCE, "looked_up": True}
    for classifier, size in itertools.product(CLASSIFIERS, TESTED):
        at = {"representation": "order 2", "classifier": classifier, "size": size}
        figure, is_there = float(TABLE_4.sel(at)), size in errors["size"]
        measured: Any = None
        if whole.met and is_there:
            one = errors.sel(at, drop=True)
            one = one.isel(draw=np.flatnonzero(one["computed"]))
            alone = one.sizes["draw"] == 1
            measured = mean(100 * one["wrong"][0], over="digit") if alone else mean(one["error"], over="draw")
        claims.append(
            Claim(
                f"With {size:,} digits of the whole MNIST the {classifier} classifier at order 2 errs no "
                f"more than the published {figure:.4g} %.",
                published(figure, n=10_000, slack=0.15, side="at most", **source),
                measured,
                needs=(whole, Need("this size", is_there or not whole.met, "give it in --sizes")),
            )
        )
    return claims


def plot_disks(bank: scattering2d.Bank, image: np.ndarray) -> Figure:
    coefficients, table = np.asarray(scattering2d.scatter(bank, image)), scattering2d.paths(bank)
    rows, columns = coefficients.shape[1:]
    figure, ((left, *disks),) = plots.canvas(3, size=(3.7, 4))
    left.imshow(image, cmap="gray_r")
    left.set(title="digit", xticks=[], yticks=[])
    for axes, order in zip(disks, (1, 2)):
        channels = [index for index, path in enumerate(table) if path.order == order]
        shades = 1 - coefficients / coefficients[channels].max()
        for row, column, index, turn in np.ndindex(rows, columns, len(table), 2):
            if index in channels:
                radius, thickness, start, span = place(bank, table[index])
                ends = (start + 180 * turn, start + 180 * turn + span)
                shade = str(shades[index, row, column])
                options = {"width": thickness, "facecolor": shade, "linewidth": 0}
                axes.add_patch(Wedge((column, rows - 1 - row), radius, *ends, **options))
        limits = {"xlim": (-0.55, columns - 0.45), "ylim": (-0.55, rows - 0.45)}
        axes.set(title=f"order {order}", aspect="equal", xticks=[], yticks=[], **limits)
    return figure


def place(bank: scattering2d.Bank, path: scattering2d.Path) -> tuple[float, float, float, float]:
    """Outer radius, thickness, first angle and span in degrees of a path's place on a disk of radius 0.46."""
    thickness, span = 0.46 / bank.J, 180 / bank.L
    radius, start = 0.46 - thickness * path.scales[0], 90 - span * (path.angles[0] + 0.5)
    if path.order == 2:
        thickness /= bank.J - 1 - path.scales[0]
        radius -= thickness * (path.scales[1] - path.scales[0] - 1)
        span /= bank.L
        start += span * path.angles[1]
    return radius, thickness, start, span


def plot_bank(bank: scattering2d.Bank) -> Figure:
    figure, ((left, right),) = plots.canvas(2, size=(5, 4.2))
    # A pixel is centered at its frequency.
    extent = [math.pi * (end - 1 / size) for size in bank.grid[::-1] for end in (-1, 1)]
    frequencies = [np.fft.fftshift(np.fft.fftfreq(size)) * 2 * math.pi for size in bank.grid[::-1]]
    named = [(one, plots.PALETTE[0]) for one in bank.wavelets]
    for filters, color in (*named, (scattering2d.low_pass_2d(bank), plots.PALETTE[1])):
        values = np.fft.fftshift(np.asarray(filters))
        left.contour(*frequencies, values, levels=[0.5 * values.max()], colors=color)
    left.set(title="wavelets (blue) and low-pass (orange) at half height", aspect="equal")
    kept = np.fft.fftshift(np.asarray(scattering2d.littlewood_paley(bank)))
    image = right.imshow(kept, extent=extent, origin="lower", cmap="viridis")
    right.set(title="Littlewood-Paley sum for real images")
    figure.colorbar(image, ax=right, label="share of the energy kept")
    for axes in (left, right):
        axes.set(xlabel="frequency along width (radians a pixel)", xlim=extent[:2], ylim=extent[2:])
    left.set_ylabel("frequency along height (radians a pixel)")
    return figure
