"""Five patterns, shown without a teacher, come to drive one cell each; shifts leave it so at most places.

Lecture: the history of neural networks, the Neocognitron.
Source: Fukushima, Neocognitron: a self-organizing neural network model for a mechanism of pattern recognition
unaffected by shift in position, 1980.

Stencils of "0" to "4" on a retina of 16 x 16 pixels are presented twenty times each, in turn, to a network
with the paper's layers, windows and parameters: always in the middle, or shifted at random at every
presentation. The sizes of layers, windows and S-columns and r, q and the number of presentations were looked
up in notes that quote section 5 of the paper; the paper itself could not be reached, and alpha = 0.5 and the
claims on ten patterns and on presentation in one place are from memory. The stencils, the size of the shifts
and deformations, and what `jaxtheory.networks.neocognitron` says to be open, are ours. A cell answers where
its output is not zero. Then all ten digits are presented, and real ones, of which each cell is given the
class that drives it most often; as many centers of k-means are given classes in the same way. The full form
takes about five minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Range, above, at_least, below, equal_to, exact, experiment, mean, plots
from jaxtheory.networks import neocognitron

DRAWN = """
..###.. ...#... ..###.. ..###.. ....#.. ####### ...###. ####### ..###.. ..###..
.#...#. ..##... .#...#. .#...#. ...##.. #...... ..#.... ......# .#...#. .#...#.
#.....# .#.#... #.....# ......# ..#.#.. #...... .#..... .....#. .#...#. #.....#
#.....# ...#... ......# .....#. .#..#.. #####.. #.##... .....#. .#...#. #.....#
#.....# ...#... .....#. ...##.. #...#.. .....#. ##..##. ....#.. ..###.. .##..##
#.....# ...#... ...##.. .....#. ####### ......# #.....# ....#.. .#...#. ...##.#
#.....# ...#... ..#.... ......# ....#.. ......# #.....# ...#... #.....# .....#.
.#...#. ...#... .#..... .#...#. ....#.. #....#. .#...#. ...#... .#...#. ....#..
..###.. ...#... ####### ..###.. ....#.. .####.. ..###.. ...#... ..###.. .###...
"""
STENCILS = np.array([[[c == "#" for c in part] for part in row.split()] for row in DRAWN.split("\n")[1:-1]])
STENCILS = STENCILS.swapaxes(0, 1)
"""The ten digits, nine pixels high and seven wide."""
SIDE = 16
"""The height and width of the retina."""
HEIGHT, WIDTH = (SIDE + 1 - size for size in STENCILS.shape[1:])
"""The numbers of places of a stencil on the retina."""
MIDDLE = (HEIGHT // 2 - 1, WIDTH // 2 - 1)
"""The place in the middle."""
KINDS = ("larger", "smaller", "slanted", "specks", "gaps")
CHOICES: dict[str, dict[str, Any]] = {
    "as here": {},
    "flatter c": {"surround": 1.0},
    "steeper c": {"surround": 0.7},
    "flatter d": {"pooling": 0.9},
    "steeper d": {"pooling": 0.7},
    "smaller start": {"start": 1e-4},
    "larger start": {"start": 1e-2},
    "alpha 1/4": {"saturation": 0.25},
    "alpha 1": {"saturation": 1.0},
}
"""What the paper leaves open or was not looked up, in other sizes."""
COUNTS = (5, 10)
"""How many digits are presented, from 0 on."""
PART, BLOCK = 5, 100
"""How many images are presented, and tested, at once: one program for all."""
ABSTRACT = "Fukushima 1980, abstract"
SECTION = "Fukushima 1980, section 5"


@dataclass(frozen=True)
class Config:
    shifts: Annotated[tuple[int, ...], Range(1, 4)] = (1, 2, 3, 4)
    """The largest random shift of a presented pattern from the middle, in pixels."""
    middle: Annotated[int, Range(1, 4)] = 2
    """The one of these shifts at which networks are looked at closely."""
    draws: Annotated[int, Range(2)] = 10
    """The number of networks at each shift."""
    presentations: Annotated[int, Range(1)] = 20
    """How often each pattern is presented."""
    stride: Annotated[int, Range(1, 2)] = 1
    """The distance between places at which a pattern is tested."""
    copies: Annotated[int, Range(1)] = 8
    """The number of deformed copies of each pattern and kind."""
    choices: tuple[str, ...] = tuple(CHOICES)
    """Names of other sizes of what is open."""
    folds: Annotated[int, Range(2, 5)] = 5
    """The number of draws of real digits."""
    digits: Annotated[int, Range(5)] = 20
    """The number of real digits of each class that are presented, once each."""
    tested: Annotated[int, Range(10)] = 1000
    """The number of real digits on which cells are tested."""


QUICK = Config(shifts=(2, 4), draws=2, stride=2, copies=2, choices=("as here",), folds=2, tested=200)


def placed(stencil: np.ndarray, row: int | np.integer, column: int | np.integer) -> np.ndarray:
    """A retina with a stencil at a place."""
    retina = np.zeros((SIDE, SIDE), np.float32)
    retina[row : row + stencil.shape[0], column : column + stencil.shape[1]] = stencil
    return retina


def everywhere(count: int, stride: int) -> np.ndarray:
    """The first stencils at places around the middle: (patterns, rows, columns, height, width)."""
    rows, columns = (range(first % stride, size, stride) for first, size in zip(MIDDLE, (HEIGHT, WIDTH)))
    return np.array([[[placed(one, i, j) for j in columns] for i in rows] for one in STENCILS[:count]])


def shown(count: int, shift: int, presentations: int, rng: np.random.Generator) -> np.ndarray:
    """What is presented: the patterns in turn, each time shifted at random."""
    moves = rng.integers(-shift, shift + 1, (presentations, count, 2)) + MIDDLE
    moves = moves.clip(0, (HEIGHT - 1, WIDTH - 1))
    return np.array([placed(one, *place) for turn in moves for one, place in zip(STENCILS, turn)])


def moved(stencil: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A stencil whose strokes went through a linear map, in the middle of the retina."""
    points = np.argwhere(stencil)
    near = [(p, q) for p in points for q in points if abs(p - q).max() <= 1]
    # No point of a stroke lies halfway between pixels, so that the identity changes nothing.
    strokes = np.concatenate([p + np.linspace(0, 1, 4)[:, None] * (q - p) for p, q in near])
    center = (np.array(stencil.shape) - 1) / 2
    pixels = np.rint((strokes - center) @ matrix.T + MIDDLE + center).astype(int)
    retina = np.zeros((SIDE, SIDE), np.float32)
    retina[tuple(pixels.clip(0, SIDE - 1).T)] = 1
    return retina


def deformed(kind: str, stencil: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pattern with another size or shape, with five specks of noise or with three pixels missing."""
    if kind in KINDS[:2]:
        low, high = (1.05, 1.25) if kind == "larger" else (0.75, 0.95)
        return moved(stencil, np.diag(rng.uniform(low, high, 2)))
    if kind == "slanted":
        return moved(stencil, np.array([[1, 0], [rng.uniform(-0.3, 0.3), 1]]))
    retina = placed(stencil, *MIDDLE)
    ink, paper = np.flatnonzero(retina), np.flatnonzero(retina == 0)
    changed = rng.choice(paper, 5, replace=False) if kind == "specks" else rng.choice(ink, 3, replace=False)
    retina.flat[changed] = kind == "specks"
    return retina


def organized(images: np.ndarray, **options: Any) -> neocognitron.Parameters:
    """A network after images were presented to it."""
    params = neocognitron.init((SIDE, SIDE), **options)
    for part in images[: len(images) // PART * PART].reshape(-1, PART, SIDE, SIDE):
        params = neocognitron.run(params, part)
    return params


def answers(params: neocognitron.Parameters, images: np.ndarray) -> np.ndarray:
    """What the last cells answer to images with any leading axes."""
    flat = images.reshape(-1, SIDE, SIDE)
    blocks = np.pad(flat, ((0, -len(flat) % BLOCK), (0, 0), (0, 0))).reshape(-1, BLOCK, SIDE, SIDE)
    found = np.concatenate([np.asarray(neocognitron.apply(params, block)) for block in blocks])
    return found[: len(flat)].reshape(*images.shape[:-2], -1)


def alone(found: np.ndarray) -> np.ndarray:
    """The number of the cell that alone answers, and -1 where none or several do."""
    return np.where((found > 0).sum(-1) == 1, found.argmax(-1), -1)


def network(
    config: Config, count: int, shift: int, rng: np.random.Generator, **options: Any
) -> dict[str, Any]:
    """A network that was presented patterns: which of them have a cell of their own, and where it answers."""
    params = organized(shown(count, shift, config.presentations, rng), **options)
    cells = alone(answers(params, everywhere(count, config.stride)))
    middle = cells[:, MIDDLE[0] // config.stride, MIDDLE[1] // config.stride]
    own = [cell >= 0 and (middle == cell).sum() == 1 for cell in middle]
    # The cell that alone answers at most places.
    usual = np.array([np.bincount(one.ravel() + 1, minlength=2)[1:].argmax() for one in cells])
    images = [
        [[deformed(kind, one, rng) for _ in range(config.copies)] for one in STENCILS[:count]]
        for kind in KINDS
    ]
    kept = alone(answers(params, np.array(images))) == usual[:, None]
    maps = np.full((len(STENCILS), *cells.shape[1:]), np.nan)
    maps[:count] = 100 * (cells == usual[:, None, None])
    return {"own": np.sum(own), "whole": 100.0 * np.all(own), "maps": maps, "kept": 100 * kept.mean((1, 2))}


def retinas(images: np.ndarray) -> np.ndarray:
    """Real digits of 28 x 28 pixels, averaged over blocks of 2 x 2, with one pixel of paper around."""
    blocks = images.reshape(-1, SIDE - 2, 2, SIDE - 2, 2).mean((2, 4))
    return np.pad(blocks, ((0, 0), (1, 1), (1, 1)))


def classed(groups: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The class of each tested digit's group, that of most presented digits in it; -1 for no group."""
    votes = np.zeros((25, 10))
    np.add.at(votes, (groups, labels), 1)
    classes = np.where(votes.any(1), votes.argmax(1), -1)
    return np.where(tested < 0, -1, classes[tested])


def of_real_digits(config: Config, digits: Any, count: int, draw: int, rng: Any) -> dict[str, Any]:
    """What a network makes of real digits, and what as many centers of k-means make of them."""
    from sklearn.cluster import KMeans

    split = digits.draw(len(digits.train_labels), rng, fold=draw if digits.embedded else 0)
    places = np.stack([np.flatnonzero(split.train_labels == k)[: config.digits] for k in range(count)], 1)
    x, y = retinas(split.train_images[places.ravel()]), split.train_labels[places.ravel()]
    chosen = np.flatnonzero(split.test_labels < count)[: config.tested]
    asked, truth = retinas(split.test_images[chosen]), split.test_labels[chosen]
    params = organized(x)
    seen, found = answers(params, x), answers(params, asked)
    groups = [np.where(one.any(-1), one.argmax(-1), -1) for one in (seen, found)]
    told = classed(groups[0][groups[0] >= 0], y[groups[0] >= 0], groups[1])
    means = KMeans(found.shape[-1], n_init=4, random_state=int(rng.integers(2**31))).fit(
        x.reshape(len(x), -1)
    )
    nearest = [means.predict(one.reshape(len(one), -1)) for one in (x, asked)]
    return {
        "single": 100 * (alone(found) >= 0).mean(),
        "used": float(len(set(groups[1]) - {-1})),
        "right": 100 * (told == truth).mean(),
        "k-means": 100 * (classed(nearest[0], y, nearest[1]) == truth).mean(),
        "chance": 100 * np.bincount(truth).max() / len(truth),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if unknown := set(config.choices) - set(CHOICES):
        raise ValueError(f"choices holds {min(unknown)!r}: take of {', '.join(CHOICES)}")
    digits, draws = lab.load(mnist), range(config.draws)
    dims = {"maps": ("pattern", "row", "column"), "kept": ("kind",)}

    def middle(count: int) -> dict[str, Any]:
        return network(config, count, 0, np.random.default_rng(0))

    def shifted(count: int, radius: int, rng: np.random.Generator) -> dict[str, Any]:
        return network(config, count, radius, rng)

    def chosen(choice: str, rng: np.random.Generator) -> dict[str, Any]:
        return network(config, 5, config.middle, rng, **CHOICES[choice])

    still = lab.sweep("middle", middle, count=COUNTS, dims=dims)
    found = lab.sweep("shifted", shifted, count=COUNTS, radius=config.shifts, draw=draws, dims=dims)
    other = lab.sweep("open", chosen, choice=config.choices, draw=draws, common="choice", dims=dims)
    real = lab.sweep(
        "digits", partial(of_real_digits, config, digits), count=COUNTS, draw=range(config.folds)
    )
    still, found = (one.assign_coords(kind=list(KINDS)) for one in (still, found))
    notes(still, found, other, real, lab)
    figures(config, found, other, lab)
    return claims(config, still, found, real, digits.shared)


def claims(
    config: Config, still: xr.Dataset, found: xr.Dataset, real: xr.Dataset, shared: float
) -> list[Claim]:
    near = found.sel(radius=config.middle, drop=True)
    five, ten = (near.sel(count=count, drop=True) for count in COUNTS)
    whole = found.whole.sel(count=5, drop=True)
    few, many = min(config.shifts), max(config.shifts)
    harder = whole.sel(radius=many, drop=True) - whole.sel(radius=few, drop=True)
    places, moved_places = (
        one.maps.isel(pattern=slice(5)).mean(("row", "column")) for one in (still.sel(count=5), five)
    )
    at = f"presented within {config.middle} pixels of the middle"
    unaffected = at_least(
        100, unit="%", source=f"{ABSTRACT}: not affected by the position at all", looked_up=True
    )
    small = f"{ABSTRACT}: nor by small changes of shape or size; how small is ours, and noise is in figure 6"
    points = partial(below, 0, unit="points")
    return [
        Claim(
            "Of five patterns always presented in the middle, each drives one cell of the last layer that no "
            "other drives: the number of these patterns.",
            equal_to(5, tolerance=0, source=ABSTRACT, looked_up=True),
            exact(still.own.sel(count=5)),
        ),
        Claim(
            "With random shifts at every presentation, most networks have such cells for all five.",
            above(50, unit="%", source=f"{SECTION} shows one network; the half is this project's"),
            mean(whole, over="draw"),
        ),
        Claim(
            f"Shifts make it harder: the share of networks at {many} pixels less that at {few}.",
            points(source=f"{SECTION}, a footnote"),
            mean(harder, over="draw", paired=True),
        ),
        Claim(
            "Wherever a pattern that was presented in the middle lies, the same cell alone answers.",
            unaffected,
            [exact(share, at={"pattern": k}) for k, share in enumerate(places.values)],
        ),
        Claim(
            f"Wherever a pattern that was {at} lies, the same cell alone answers.",
            unaffected,
            mean(moved_places, over="draw"),
        ),
        Claim(
            f"To deformed and noisy patterns the same cell alone answers, {at}.",
            at_least(100, unit="%", source=small, looked_up=True),
            mean(five.kept, over="draw"),
        ),
        Claim(
            f"Ten patterns are harder than five: the difference in the share of networks, {at}.",
            points(source=SECTION),
            mean(ten.whole - five.whole, over="draw", paired=True),
        ),
        Claim(
            "Cells tell more real digits than as many centers of k-means do: the difference.",
            above(0, unit="points", source="the lecture's praise; the paper makes no such claim"),
            mean(real.right - real["k-means"], over="draw", paired=True, overlap=shared),
        ),
    ]


def notes(still: xr.Dataset, found: xr.Dataset, other: xr.Dataset, real: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings."""
    for count in COUNTS:
        one, digits = found.sel(count=count).mean("draw"), real.sel(count=count).mean("draw")
        told = ", ".join(
            f"{float(one.whole.sel(radius=k)):.0f} % at {k} ({float(one.own.sel(radius=k)):.1f})"
            for k in one.radius.values
        )
        lab.note(
            f"{count} patterns: always in the middle, {int(still.own.sel(count=count))} have a cell of their "
            "own. Networks in which all have one, by the largest random shift in pixels, and in brackets the "
            f"mean number of patterns that have one: {told}."
        )
        lab.note(
            f"Real digits of {count} classes: {float(digits.single):.0f} % drive one cell alone; "
            f"{float(digits.used):.0f} cells answer most to some digit; {float(digits.right):.0f} % are told "
            f"by the class of the cell that answers most, {float(digits['k-means']):.0f} % by k-means, "
            f"{float(digits.chance):.0f} % by the largest class."
        )
    shares = ", ".join(
        f"{name} {float(other.whole.sel(choice=name).mean()):.0f} %" for name in other.choice.values
    )
    lab.note(f"Networks in which all five patterns have a cell, with what is open chosen so: {shares}.")


def figures(config: Config, found: xr.Dataset, other: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    drawing, (axes,) = plots.canvas(2, size=(5.2, 3.8))
    whole = found.whole.assign_coords(count=[f"{count} patterns" for count in COUNTS])
    percent = "networks in which each has a cell, %"
    plots.panel(
        whole, x="radius", hue="count", over="draw", axes=axes[0], xlabel="largest random shift, pixels",
        ylabel=percent, ylim=(0, 105),
    )  # fmt: skip
    of_choices = other.whole.rename(percent)
    plots.panel(
        of_choices.assign_coords(choice=range(of_choices.sizes["choice"])),
        x="choice",
        over="draw",
        axes=axes[1],
    )
    axes[1].set_xticks(range(len(config.choices)), config.choices, rotation=40, ha="right", fontsize=8)
    lab.figure(
        "networks",
        drawing,
        "Networks in which each pattern drives one cell of the last layer that no other drives: by the "
        "shifts at presentation, and with what the paper leaves open chosen otherwise.",
    )
    maps = found.maps.sel(count=5).isel(pattern=slice(5)).mean("draw")
    rows = {"pattern": STENCILS[:5]} | {
        f"shifts to {k}": maps.sel(radius=k).values / 100 for k in config.shifts
    }
    lab.figure(
        "places",
        plots.image_rows(rows, titles=[f'"{k}"' for k in range(5)]),
        "For each place of a pattern on the retina, the share of networks in which its cell alone answers: "
        "none white, all black; by the shifts at presentation.",
    )
    rng = lab.rng("pictures")
    params = organized(shown(5, config.middle, config.presentations, rng))
    seen = neocognitron.responses(params, placed(STENCILS[4], *MIDDLE))
    tiles = {"learned by S1": params.excitatory[0][:, :, 0]}
    for k, pair in enumerate(zip(seen.simple, seen.complex), 1):
        tiles |= {f"answers of {name}{k}": maps for name, maps in zip("SC", pair)}
    drawing, grid = plots.canvas(4, 2, size=(2.8, 2.9))
    for ax in grid.flat:
        ax.axis("off")
    for ax, (title, planes) in zip(grid.flat, tiles.items()):
        ax.imshow(plots.mosaic(np.moveaxis(np.asarray(planes), -1, 0)), cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(title, fontsize=9)
    lab.figure(
        "layers",
        drawing,
        'What the 24 planes of S1 learned, and what all layers answer to "4"; each plane with its own scale.',
    )
    pictures = {}
    for digit, stencil in enumerate(STENCILS[:5]):
        ones = np.array([placed(stencil, *MIDDLE), *(deformed(kind, stencil, rng) for kind in KINDS)])
        cells = alone(answers(params, ones))
        pictures[f'"{digit}"'] = ones * np.where((cells == cells[0]) & (cells >= 0), 1, 0.3)[:, None, None]
    lab.figure(
        "deformed",
        plots.image_rows(pictures, titles=["as presented", *KINDS]),
        "Deformed patterns; pale where the cell of the pattern does not alone answer.",
    )
