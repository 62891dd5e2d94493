"""Unrolled pursuits with learned numbers gain the same factor at every layer; ISTA and FISTA are far behind.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Chen, Liu, Wang and Yin, Theoretical linear convergence of unfolded ISTA and its practical weights and
thresholds, NeurIPS 2018 (LISTA-CP); Liu, Chen, Wang and Yin, ALISTA: analytic weights are as good as learned
weights in LISTA, ICLR 2019.

Signals are made of atoms of random directions, without noise. With a tenth of nonzeros, as in the papers'
experiments, the theorems' hypothesis s < (1 + 1 / μ~) / 2 is far from met; with two nonzeros it is met. All
layers are trained at once, on fresh signals at every step, to lower the mean of the errors in decibels over
the layers, starting from ALISTA's analytic weight and, where the hypothesis is met, from the theorem's
thresholds. The full form takes about five minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.kernels.fista.reference import extrapolate
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, at_least, at_most, below, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.sparse import coherence
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.unrolled import alista, lista, lista_cp, recovery

NETWORKS = {"LISTA-CP": lista_cp, "ALISTA": alista}
CLASSICAL = ("ISTA", "FISTA")
FIRST = 4
"""The first layer of those whose errors are fitted by a line."""
SEGMENT = 50
"""The number of training steps in one segment of the training."""
DRAWS = 10
"""The number of draws of test signals."""
RATES = {"log_threshold": 0.01, "step_size": 0.0005, "weight": 2e-5}
"""Adam's rates at the start; step sizes that move faster leave the range of the theorem now and then."""
THEOREM = "Liu et al. 2019, theorem 1"
EXPERIMENTS = "Chen et al. 2018 and Liu et al. 2019, experiments"


@dataclass(frozen=True)
class Config:
    features: Annotated[int, Range(2)] = 250
    """The length of a signal."""
    atoms: Annotated[int, Range(2)] = 500
    """The number of atoms of the dictionary."""
    layers: Annotated[int, Range(FIRST + 2)] = 16
    """The number of layers of the networks, and of steps of ISTA and FISTA."""
    density: Annotated[float, Range(0, 1)] = 0.1
    """The share of nonzeros in the papers' signals."""
    sparsity: Annotated[int, Range(1)] = 2
    """The number of nonzeros in signals that are to meet the theorems' hypothesis."""
    batch: Annotated[int, Range(1)] = 256
    """The number of fresh signals in each training step."""
    steps: Annotated[int, Range(1)] = 400
    """The number of training steps of a network."""
    tested: Annotated[int, Range(1)] = 200
    """The number of test signals in each of ten draws."""
    penalties: Annotated[int, Range(1)] = 13
    """The number of penalties from 0.001 to 1 that are tried; ISTA and FISTA are given the best."""


QUICK = Config(features=120, atoms=200, batch=64, steps=50, tested=100, penalties=7)


def kinds(config: Config) -> dict[str, float | int]:
    """The two kinds of signals: their names, and the share of nonzeros or their number."""
    return {f"{config.density:.0%} nonzeros": config.density, f"{config.sparsity} nonzeros": config.sparsity}


def draw(key: jax.Array, nonzeros: float | int, number: int, atoms: int) -> jax.Array:
    """Sparse codes (number, atoms), standard normal at random places: a share of them, or as many as told."""
    places, values = jax.random.split(key)
    score = jax.random.uniform(places, (number, atoms))
    is_count = isinstance(nonzeros, int)
    on = score >= jax.lax.top_k(score, nonzeros)[0][:, -1:] if is_count else score < nonzeros
    return jnp.where(on, jax.random.normal(values, (number, atoms)), 0)


def decibels(iterates: Any, codes: Any) -> Any:
    """The energy of the error of iterates (layers, ..., n, atoms) over that of the codes, (layers, ...)."""
    errors = ((iterates - codes) ** 2).sum((-2, -1)) / (codes**2).sum((-2, -1))
    return 10 * (jnp.log10(errors) if isinstance(errors, jax.Array) else np.log10(errors))


def filled(held: Any, learned: dict[str, jax.Array]) -> Any:
    """The network's parameters, of which thresholds are learned by their logarithms."""
    others = {name: value for name, value in learned.items() if name != "log_threshold"}
    return replace(held, threshold=jnp.exp(learned["log_threshold"]), **others)


def train(
    lab: Lab, config: Config, dictionary: jax.Array, thresholds: np.ndarray, signals: str, network: str
) -> tuple[Any, float]:
    """The network's parameters, trained in segments that the lab stores, and the seconds that it took."""
    nonzeros, module = kinds(config)[signals], NETWORKS[network]
    # The papers' share of trusted entries for a tenth of nonzeros; the theorems trust none.
    share = nonzeros if isinstance(nonzeros, float) else 0.0
    options = {"steps": config.layers, "selection": (0.12 * share, 1.2 * share)}
    start = lab.key("start")
    learned = {"log_threshold": jnp.log(jnp.asarray(thresholds, dictionary.dtype))}
    if network == "ALISTA":
        held = alista.init(start, dictionary, threshold=1.0, **options)
        learned["step_size"] = held.step_size
    else:
        held = lista_cp.init(start, dictionary, penalty=1.0, **options)
        learned["weight"] = jnp.broadcast_to(alista.analytic_weight(dictionary), held.weight.shape)
    optimizer = optax.partition(
        {name: optax.adam(optax.cosine_decay_schedule(rate, config.steps)) for name, rate in RATES.items()},
        lambda learned: {name: name for name in learned},
    )

    def objective(learned: Any, held: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """The mean over the layers of the errors in decibels, on fresh signals."""
        del batch
        codes, params = draw(key, nonzeros, config.batch, config.atoms), filled(held, learned)
        signals = jnp.matmul(codes, dictionary, precision="highest")
        return jnp.mean(decibels(module.apply(params, signals, iterates=True), codes)), (held, {})

    @jax.jit
    def segment(state: training.TrainingState) -> Any:
        step = partial(training.step, objective=objective, optimizer=optimizer)
        return jax.lax.scan(lambda state, _: step(state, ()), state, length=SEGMENT)

    key = lab.key("training", signals=signals)
    state = training.init(learned, key, optimizer=optimizer, state=held)
    found = lab.train(f"{network}, {signals}", segment, state, -(-config.steps // SEGMENT))
    return filled(found.state.state, found.state.params), found.seconds


@partial(jax.jit, static_argnames="steps")
def fista(signals: jax.Array, dictionary: jax.Array, penalty: Any, *, steps: int) -> jax.Array:
    """The iterates (steps, ..., atoms) of FISTA."""
    product = partial(jnp.matmul, precision="highest")
    curvature = jnp.linalg.eigvalsh(product(dictionary, dictionary.T))[-1]

    def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        before, point, t = carry
        move = product(signals - product(point, dictionary), dictionary.T) / curvature
        codes = soft_threshold(point + move, penalty / curvature)
        return (codes, *extrapolate(codes, before, t)), codes

    zeros = jnp.zeros((*signals.shape[:-1], len(dictionary)), signals.dtype)
    return jax.lax.scan(step, (zeros, zeros, jnp.ones((), signals.dtype)), length=steps)[1]


def tested(
    config: Config, dictionary: jax.Array, pursue: Callable[[jax.Array], jax.Array], signals: str, keys: Any
) -> np.ndarray:
    """Errors in decibels (draws, layers) of a pursuit on all draws of test signals."""
    options = {"nonzeros": kinds(config)[signals], "number": config.tested, "atoms": config.atoms}
    codes = jax.vmap(partial(draw, **options))(keys)
    return np.asarray(decibels(pursue(jnp.matmul(codes, dictionary, precision="highest")), codes)).T


def line(errors: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """A line through the errors from layer `FIRST` on: its values, its slope in dB a layer and its R²."""
    later = errors.sel(layer=slice(FIRST, None))
    slope, start = later.polyfit("layer", 1)["polyfit_coefficients"].transpose("degree", ...)
    fitted = start.drop_vars("degree") + slope.drop_vars("degree") * later["layer"]
    return fitted, slope.drop_vars("degree"), 1 - (later - fitted).var("layer") / later.var("layer")


def guaranteed(dictionary: Any, codes: Any, layers: int) -> dict[str, Any]:
    """ALISTA with the theorem's thresholds for these codes: its largest errors and their bounds."""
    dictionary, codes = np.asarray(dictionary, float), np.asarray(codes, float)
    with jax.enable_x64(True):
        params = alista.init(jax.random.key(0), dictionary, steps=layers, threshold=1.0)
        theorem = recovery.alista_guarantee(dictionary, params.weight, codes, layers=layers)
        params = replace(params, threshold=theorem.thresholds)
        iterates = np.asarray(alista.apply(params, codes @ dictionary, iterates=True))
    largest = np.linalg.norm(iterates - codes, axis=-1).max(axis=1)
    return {
        "thresholds": np.asarray(theorem.thresholds),
        "ratio": (largest / np.asarray(theorem.bounds)).max(),
        "false": int((iterates[:, codes == 0] != 0).sum()),
        "errors": decibels(iterates, codes),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    dictionary = coherence.gaussian(lab.key("dictionary"), config.atoms, config.features)
    mu = float(alista.generalized_coherence(dictionary, alista.analytic_weight(dictionary)))
    allowed = (1 + 1 / mu) / 2
    lab.note(
        f"mutual coherence μ = {float(coherence.mutual_coherence(dictionary)):.3f}, generalized coherence "
        f"μ~ = {mu:.3f}: the theorems are for fewer than {allowed:.2f} nonzeros; signals have "
        f"{config.density * config.atoms:g} on average, or {config.sparsity}"
    )
    many, few = kinds(config)
    bound, first = None, dict.fromkeys((many, few), np.geomspace(0.3, 0.01, config.layers))
    if config.sparsity < allowed:
        keys = lab.key("signals of the theorem"), lab.key("signals of the thresholds")
        codes = [draw(key, config.sparsity, 10 * config.tested, config.atoms) for key in keys]
        bound, other = (guaranteed(dictionary, one, config.layers) for one in codes)
        first[few] = other["thresholds"]
    trained = {
        (signals, network): train(lab, config, dictionary, first[signals], signals, network)
        for signals in (many, few)
        for network in NETWORKS
    }
    seconds = [f"{took:.0f} s ({network}, {signals})" for (signals, network), (_, took) in trained.items()]
    lab.note(f"The trainings took {', '.join(seconds)}.")

    def of_classical(signals: str, network: str, penalty: float, key: jax.Array) -> np.ndarray:
        if network == "FISTA":
            pursue = partial(fista, dictionary=dictionary, penalty=penalty, steps=config.layers)
        else:  # LISTA before it learns
            params = lista.init(jax.random.key(0), dictionary, steps=config.layers, penalty=penalty)
            pursue = partial(lista.apply, params, iterates=True)
        return tested(config, dictionary, pursue, signals, key)

    def of_networks(signals: str, network: str, key: jax.Array) -> np.ndarray:
        pursue = partial(NETWORKS[network].apply, trained[signals, network][0], iterates=True)
        return tested(config, dictionary, pursue, signals, key)

    axes = {"signals": (many, few), "draw": range(DRAWS), "together": "draw", "dims": ("layer",)}
    axes |= {"stream": "test signals", "unit": "dB"}
    fast = lab.sweep("networks", of_networks, network=tuple(NETWORKS), common=("network",), **axes)
    axes |= {"network": CLASSICAL, "penalty": np.geomspace(1e-3, 1, config.penalties).tolist()}
    slow = lab.sweep("ISTA and FISTA", of_classical, common=("network", "penalty"), **axes)
    best = slow.isel(layer=-1).mean("draw").argmin("penalty")
    errors = xr.concat([fast, slow.isel(penalty=best).drop_vars("penalty")], "network")
    errors = errors.assign_coords(layer=range(1, config.layers + 1)).rename("normalized error")
    fitted, slope, fit = line(errors.sel(network=list(NETWORKS)))
    beside = {"line": fitted.mean("draw")}
    if bound:
        at = {"signals": [few], "layer": errors["layer"]}
        beside["ALISTA, theorem's thresholds"] = xr.DataArray([bound["errors"]], at, tuple(at))
    lab.figure(
        "error_by_layer",
        plots.panel(errors, x="layer", hue="network", col="signals", over="draw", beside=beside),
        f"Normalized error of the codes by layer. Dashed: lines fitted from layer {FIRST} on; dotted: ALISTA "
        "with the theorem's thresholds, not learned.",
    )
    lab.figure(
        "learned",
        plot_learned({at: params for at, (params, _) in trained.items()}, config),
        "Learned thresholds by layer, which must vanish for the codes to be found, and ALISTA's step sizes.",
    )
    return claims(config, errors, slope, fit, allowed, bound)


def claims(
    config: Config, errors: xr.DataArray, slope: xr.DataArray, fit: xr.DataArray, allowed: float, bound: Any
) -> list[Claim]:
    many, few = kinds(config)
    last = errors.isel(layer=-1, drop=True)
    ahead = last.sel(network=list(NETWORKS)) - last.sel(network=list(CLASSICAL)).min("network")
    size = (config.features, config.atoms, config.layers) == (250, 500, 16)
    is_met = Need("the theorems' hypothesis", bound is not None, f"take a sparsity below {allowed:.2f}")
    slowest = 20 * np.log10((2 * config.sparsity - 1) / (2 * allowed - 1))
    tests = {"n": 10 * config.tested, "of": "signals"}
    return [
        Claim(
            "LISTA-CP with 16 layers and support selection errs by at most -30 dB at 250 x 500.",
            at_most(-30, unit="dB", source="our own bar; noiseless, a tenth of nonzeros"),
            mean(last.sel(signals=many, network="LISTA-CP"), over="draw"),
            needs=Need("16 layers at 250 x 500", size, "leave --layers, --features and --atoms as they are"),
        ),
        Claim(
            "After as many layers, LISTA-CP and ALISTA err less than ISTA and FISTA at their best penalties.",
            below(0, unit="dB", source=EXPERIMENTS),
            mean(ahead, over="draw", paired=True),
        ),
        Claim(
            f"Where the theorems' hypothesis is met, errors fall linearly in dB over layers {FIRST} to "
            f"{config.layers}: R².",
            at_least(0.95, source=f"Chen et al. 2018, theorem 2; {THEOREM}; the bar is ours"),
            mean(fit.sel(signals=few), over="draw"),
            needs=is_met,
        ),
        Claim(
            "There they fall at least as steeply as the theorem's rate for step size 1.",
            at_most(slowest, unit="dB a layer", source=THEOREM),
            mean(slope.sel(signals=few), over="draw"),
            needs=is_met,
        ),
        Claim(
            "They fall linearly in dB, too, where a tenth of the codes are nonzero and the hypothesis is not "
            "met: R².",
            at_least(0.95, source=f"{EXPERIMENTS}; the bar is ours"),
            mean(fit.sel(signals=many), over="draw"),
        ),
        Claim(
            "With the theorem's thresholds, ALISTA's largest error is below s B exp(-c k) after every layer: "
            "the largest ratio of error and bound.",
            at_most(1, source=THEOREM),
            Measured(bound["ratio"], **tests) if bound else None,
            needs=is_met,
        ),
        Claim(
            "With them no layer has a nonzero outside of the support: how many there are.",
            at_most(0, source=THEOREM),
            Measured(bound["false"], **tests) if bound else None,
            needs=is_met,
        ),
    ]


def plot_learned(params: dict[tuple[str, str], Any], config: Config) -> Figure:
    figure, (panels,) = plots.canvas(2)
    layers, colors = range(1, config.layers + 1), plots.colors_of(list(NETWORKS))
    for name, networks, log, axes in zip(
        ("threshold", "step_size"), (list(NETWORKS), ["ALISTA"]), ("y", ""), panels
    ):
        values = [[getattr(params[kind, network], name) for network in networks] for kind in kinds(config)]
        at = {"signals": list(kinds(config)), "network": networks, "layer": layers}
        array = xr.DataArray(np.asarray(values), at, tuple(at), name=name.replace("_", " "))
        plots.panel(array, x="layer", hue="network", style="signals", log=log, colors=colors, axes=axes)
    return figure
