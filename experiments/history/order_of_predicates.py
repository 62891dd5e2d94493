"""Parity and connectedness need masks that see ever more points; counting and the Euler number need few.

Lecture: history, "Limits of the perceptron": a perceptron needs global information to compute connectedness.
Source: M. Minsky and S. Papert, Perceptrons: an introduction to computational geometry, 1969.

The order of a predicate is the least k with which it is the sign of a linear form in masks of at most k
points. It is found by linear programming: the form of order k is checked on all figures of the retina, and
that there is none of order k - 1 by a convex combination of figures that no mask tells apart, checked for all
masks in rational numbers and apart from the solver. Points are neighbors if they share an edge.
The full form takes a minute and a half of a processor, most of it for 5 × 5 points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.lab import (
    Claim,
    Lab,
    Need,
    Range,
    at_least,
    at_most,
    equal_to,
    exact,
    experiment,
    plots,
)
from jaxtheory.networks import predicates

MINSKY = "Minsky and Papert 1969"
CONNECTED = {"2 × 2": 2, "2 × 3": 2, "2 × 4": 2, "2 × 5": 3, "3 × 3": 3, "3 × 4": 3, "4 × 4": 3}
"""Orders of connectedness by retina."""
LARGE = (5, 5)
"""The retina of which a lower bound is found."""
SHOWN = 8
"""The number of figures of a certificate that are shown."""


@dataclass(frozen=True)
class Config:
    parity: Annotated[tuple[int, ...], Range(1, 16)] = tuple(range(2, 9))
    """The numbers of points of which parity is computed."""
    boxes: Annotated[tuple[int, ...], Range(1, 3)] = (1, 2, 3)
    """The numbers m of boxes, of 4m² points each."""
    side: Annotated[int, Range(2, 4)] = 4
    """The side of the square retina on which points are counted and the Euler number is compared."""
    points: Annotated[int, Range(4, 16)] = 16
    """The number of points of the largest retina on which the order of connectedness is found."""
    large: bool = True
    """Whether the lower bound on 5 × 5 points is found."""


QUICK = Config(side=3, points=12, large=False)


def name_of(shape: tuple[int, int]) -> str:
    """A retina in words."""
    return f"{shape[0]} × {shape[1]}"


def shape_of(retina: str) -> tuple[int, int]:
    """A retina from words."""
    height, width = retina.split(" × ")
    return int(height), int(width)


def checked(predicate: Callable, shape: tuple[int, int], **options: Any) -> dict[str, float | int]:
    """The order of a predicate, and the imbalance of the certificate that it is not less."""
    found = predicates.order(predicate, shape, batched=True, **options)
    if found == 0:
        return {"order": 0, "imbalance": 0.0}
    form = predicates.linear_form(predicate, shape, order=found - 1, batched=True, **options)
    left = predicates.imbalance(predicate, form.certificate, order=found - 1, batched=True)
    return {"order": found, "imbalance": float(left)}


def of_parity(size: int) -> dict[str, float | int]:
    """The order of parity, and the smallest largest coefficient of a form with margin 1."""
    shape = (1, size)
    form = predicates.linear_form(predicates.parity, shape, order=size, smallest=True, batched=True)
    return checked(predicates.parity, shape) | {"largest": form.largest}


def of_boxes(boxes: int) -> dict[str, float | int]:
    """The order of one-in-a-box."""
    labels = np.repeat(np.arange(boxes), 4 * boxes**2).reshape(boxes, -1)
    predicate = partial(predicates.one_in_each_box, boxes=labels)
    return checked(predicate, labels.shape, boxes=labels)


def of_count(side: int, kind: str, number: int) -> dict[str, float | int]:
    """The order of counting."""
    predicate = {"at least": predicates.at_least, "exactly": predicates.exactly}[kind]
    return checked(partial(predicate, points=number), (side, side))


def of_euler(side: int, least: int) -> dict[str, float | int]:
    """The order of an Euler number of at least some value."""

    def predicate(figures: np.ndarray) -> np.ndarray:
        return predicates.euler_number(figures) >= least

    return checked(predicate, (side, side))


def of_connectedness(retina: str) -> dict[str, float | int]:
    """The order of connectedness."""
    return checked(predicates.connected, shape_of(retina))


def bounded(shape: tuple[int, int]) -> dict[str, Any]:
    """The certificate that connectedness has no form of order 3, and its check."""
    form = predicates.linear_form(predicates.connected, shape, order=3, batched=True)
    certificate = form.certificate
    if certificate is None:
        return {"bound": 0, "imbalance": 1.0, "figures": np.zeros((0, *shape), bool), "weights": np.zeros(0)}
    left = predicates.imbalance(predicates.connected, certificate, order=3, batched=True)
    return {
        "bound": 4 if left == 0 else 0,
        "imbalance": float(left),
        "figures": certificate.figures,
        "weights": np.array([float(one) for one in certificate.weights]),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    retinas = [one for one in CONNECTED if np.prod(shape_of(one)) <= config.points]
    counts = range(1, config.side**2)
    found = {
        "parity": lab.sweep("parity", of_parity, size=config.parity),
        "boxes": lab.sweep("one in a box", of_boxes, boxes=config.boxes),
        "count": lab.sweep(
            "counting", partial(of_count, config.side), kind=("at least", "exactly"), number=counts
        ),
        "euler": lab.sweep("Euler number", partial(of_euler, config.side), least=range(-1, config.side + 1)),
        "connected": lab.sweep("connectedness", of_connectedness, retina=retinas),
    }
    large = lab.cached("lower bound", partial(bounded, LARGE)) if config.large else None
    lab.figure(
        "orders",
        draw_orders(found, large),
        "Left: orders by the number of points of the retina, or of boxes; the last point of connectedness is "
        "a lower bound. Right: the smallest largest coefficient of parity with margin 1.",
    )
    shown = large if large is not None and large["bound"] else small_certificate()
    lab.figure(
        "certificate",
        draw_certificate(shown),
        f"The figures of most weight of a certificate on {name_of(shown['figures'].shape[1:])} points, with "
        "their weights in percent: no mask of fewer points than the order tells the rows apart.",
    )
    if large is not None:
        lab.note(f"The certificate on {name_of(LARGE)} points has {len(large['weights'])} orbits of figures.")
    return claims(found, large)


def claims(found: dict[str, xr.Dataset], large: dict[str, Any] | None) -> list[Claim]:
    parity, boxes, count = (found[one] for one in ("parity", "boxes", "count"))
    connected, expected = found["connected"], CONNECTED
    left = max(float(np.abs(one["imbalance"]).max()) for one in found.values())
    return [
        Claim(
            "Parity has order |R|: by how much its order differs.",
            equal_to(0, tolerance=0, source=f"{MINSKY}, theorem 3.1.1"),
            rows(parity["order"] - parity["size"], "size"),
        ),
        Claim(
            "With margin 1, the largest coefficient of parity is at least 2^|R|: the smallest that there is, "
            "over 2^|R|.",
            equal_to(1, tolerance=1e-6, source=f"{MINSKY}, chapter 10: coefficients grow so"),
            rows(parity["largest"] / 2.0 ** parity["size"], "size"),
        ),
        Claim(
            "One-in-a-box has order m for m boxes of 4m² points: by how much its order differs.",
            equal_to(0, tolerance=0, source=f"{MINSKY}, theorem 3.2"),
            rows(boxes["order"] - boxes["boxes"], "boxes"),
        ),
        Claim(
            "|X| ≥ M has order 1: the orders for all M from 1 to |R| - 1.",
            equal_to(1, tolerance=0, source=f"{MINSKY}, chapter 2"),
            rows(count["order"].sel(kind="at least", drop=True), "number"),
        ),
        Claim(
            "|X| = M has order 2: the orders for all M from 1 to |R| - 1.",
            equal_to(2, tolerance=0, source=f"{MINSKY}, chapter 2"),
            rows(count["order"].sel(kind="exactly", drop=True), "number"),
        ),
        Claim(
            "An Euler number of at least t has order 4 or less: the orders for all t.",
            at_most(4, source=f"{MINSKY}, chapter 6"),
            rows(found["euler"]["order"], "least"),
        ),
        Claim(
            "Connectedness has order 2 on 2 × 2 to 2 × 4 points and 3 on 2 × 5 to 4 × 4: by how much the "
            "orders differ.",
            equal_to(0, tolerance=0, source="this project's linear programs, run before"),
            [
                exact(float(connected["order"].sel(retina=one)) - expected[one], at={"retina": one})
                for one in connected["retina"].values.tolist()
            ],
        ),
        Claim(
            "On 5 × 5 points it is at least 4: the bound that the certificate proves.",
            at_least(4, source=f"{MINSKY}, theorem 5.1: it grows with the retina"),
            None if large is None else exact(large["bound"]),
            needs=Need("the retina of 5 × 5 points", large is not None, "run the full form"),
        ),
        Claim(
            "No order is less: the largest difference that a mask of fewer points makes on certificates.",
            equal_to(0, tolerance=0, source="Farkas' lemma, in rational numbers"),
            exact(left if large is None else max(left, float(large["imbalance"]))),
        ),
    ]


def rows(values: xr.DataArray, axis: str) -> list[Any]:
    """Exact figures along an axis."""
    places = values[axis].values.tolist()
    return [exact(value, at={axis: place}) for place, value in zip(places, values.values.tolist())]


def small_certificate() -> dict[str, Any]:
    """The certificate on 3 × 4 points that connectedness has no form of order 2."""
    form = predicates.linear_form(predicates.connected, (3, 4), order=2, batched=True)
    weights = np.array([float(one) for one in form.certificate.weights])
    return {"figures": form.certificate.figures, "weights": weights}


def draw_orders(found: dict[str, xr.Dataset], large: dict[str, Any] | None) -> Figure:
    figure, ((left, right),) = plots.canvas(2, size=(4.8, 3.7))
    connected = found["connected"]
    points = [int(np.prod(shape_of(one))) for one in connected["retina"].values.tolist()]
    orders = connected["order"].values.tolist()
    if large is not None and large["bound"]:
        points, orders = [*points, int(np.prod(LARGE))], [*orders, large["bound"]]
    lines = {
        "parity": (found["parity"]["size"].values, found["parity"]["order"].values, "o-"),
        "one-in-a-box, by boxes": (found["boxes"]["boxes"].values, found["boxes"]["order"].values, "s-"),
        "connectedness": (points, orders, "D"),
    }
    colors = plots.colors_of(list(lines))
    for name, (x, y, look) in lines.items():
        left.plot(x, y, look, ms=5, color=colors[name], label=name)
    left.set(xlabel="points, or boxes", ylabel="order", ylim=(0, None))
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    parity = found["parity"]
    beside = {"2^|R|": 2.0 ** parity["size"]}
    plots.panel(
        parity["largest"], x="size", beside=beside, log="y", xlabel="points of the retina",
        ylabel="largest coefficient of parity", axes=right,
    )  # fmt: skip
    return figure


def draw_certificate(large: dict[str, Any]) -> Figure:
    figures, weights = large["figures"], large["weights"]
    holds = np.asarray(predicates.connected(figures))
    figure, grid = plots.canvas(SHOWN, 2, size=(1.1, 1.35))
    for line, name, kind in zip(grid, ("connected", "not connected"), (holds, ~holds)):
        places = np.flatnonzero(kind)
        places = places[np.argsort(-weights[places], kind="stable")][:SHOWN]
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.set_axis_off()
        for axes, place in zip(line, places):
            axes.set_axis_on()
            axes.imshow(figures[place], cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(f"{100 * weights[place]:.2g}", fontsize=8)
        line[0].set_ylabel(name, fontsize=9)
    return figure
