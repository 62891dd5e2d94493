"""Unrolled pursuits with learnt numbers gain the same factor with every layer; ISTA and FISTA are far behind.

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
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtheory.lab import Claim, Lab, Measured, at_least, at_most, below, equal_to, experiment
from jaxtheory.networks import training
from jaxtheory.sparse import coherence
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.unrolled import alista, lista_cp

NETWORKS = {"LISTA-CP": lista_cp.apply, "ALISTA": alista.apply}
CLASSICAL = ("ISTA", "FISTA")
FIRST = 4
"""The layer from which on the fall is fitted by a line."""
SEGMENT = 50
"""Training steps between two looks of the lab."""
GROUPS = 10
"""Of test signals, for standard errors."""
THEOREM = "Liu et al. 2019, theorem 1"


@dataclass(frozen=True)
class Config:
    features: int = 250
    """Length of a signal."""
    atoms: int = 500
    """Atoms of the dictionary."""
    layers: int = 16
    """Layers of the networks, steps of ISTA and FISTA."""
    density: float = 0.1
    """Share of nonzeros in the papers' signals."""
    sparsity: int = 2
    """Nonzeros where the theorems' hypothesis is met."""
    batch: int = 256
    """Fresh signals at each training step."""
    steps: int = 400
    """Training steps of a network."""
    tested: int = 2000
    """Test signals."""
    penalties: int = 13
    """From 0.001 to 1, of which ISTA and FISTA get the best."""


QUICK = Config(features=120, atoms=200, batch=64, steps=50, tested=1000, penalties=7)


@dataclass(frozen=True)
class Setting:
    """A kind of signals."""

    name: str
    nonzeros: float | int  # a share of independent ones, or how many
    selection: tuple[float, float]  # how many entries the layers trust

    def draw(self, key: jax.Array, number: int, atoms: int, dtype: Any) -> jax.Array:
        """Sparse codes (number, atoms), standard normal where they are not zero."""
        places, values = jax.random.split(key)
        score = jax.random.uniform(places, (number, atoms))
        if isinstance(self.nonzeros, int):
            on = score >= jax.lax.top_k(score, self.nonzeros)[0][:, -1:]
        else:
            on = score < self.nonzeros
        return jnp.where(on, jax.random.normal(values, (number, atoms), dtype), 0)


def settings(config: Config) -> list[Setting]:
    # The papers' share of trusted entries for a tenth of nonzeros; the theorems trust none.
    return [
        Setting(
            f"{config.density:.0%} nonzeros", config.density, (0.12 * config.density, 1.2 * config.density)
        ),
        Setting(f"{config.sparsity} nonzeros", config.sparsity, (0.0, 0.0)),
    ]


def start(
    name: str, dictionary: jax.Array, thresholds: np.ndarray, selection: tuple[float, float]
) -> tuple[Any, Any]:
    """What is learnt, and the parameters that it is put in: thresholds by their logarithms."""
    key, layers = jax.random.key(0), len(thresholds)
    weight = alista.analytic_weight(dictionary)
    learnt = {"log_threshold": jnp.log(jnp.asarray(thresholds, dictionary.dtype))}
    if name == "ALISTA":
        held = alista.init(key, dictionary, steps=layers, threshold=1.0, selection=selection)
        return learnt | {"step_size": held.step_size}, held
    held = lista_cp.init(key, dictionary, steps=layers, penalty=1.0, selection=selection)
    return learnt | {"weight": jnp.broadcast_to(weight, held.weight.shape)}, held


def filled(held: Any, learnt: dict[str, jax.Array]) -> Any:
    """The network's parameters."""
    others = {name: value for name, value in learnt.items() if name != "log_threshold"}
    return replace(held, threshold=jnp.exp(learnt["log_threshold"]), **others)


def relative_errors(apply: Callable[..., Any], params: Any, codes: jax.Array) -> jax.Array:
    """The energy of the error after each layer over that of the codes, (layers,)."""
    signals = jnp.matmul(codes, params.dictionary, precision="highest")
    errors = apply(params, signals, iterates=True) - codes
    return jnp.sum(errors**2, axis=(1, 2)) / jnp.sum(codes**2)


def mean_decibels(learnt, held, batch, key, *, apply, setting: Setting, number: int):
    """The objective: the mean over the layers of the errors in decibels, on fresh signals."""
    del batch
    atoms, dtype = held.dictionary.shape[0], held.dictionary.dtype
    errors = relative_errors(apply, filled(held, learnt), setting.draw(key, number, atoms, dtype))
    return jnp.mean(10 * jnp.log10(errors)), (held, {})


def optimiser(steps: int) -> optax.GradientTransformation:
    """Adam with rates that fall to zero; a weight has many entries, of which each moves little.

    Step sizes that move faster leave the theorem's range in turns, large and small: the last errors are lower
    for it, and those of every other layer higher.
    """
    rates = {"log_threshold": 0.01, "step_size": 0.0005, "weight": 2e-5}
    return optax.partition(
        {name: optax.adam(optax.cosine_decay_schedule(rate, steps)) for name, rate in rates.items()},
        lambda learnt: {name: name for name in learnt},
    )


def first_thresholds(dictionary: jax.Array, setting: Setting, config: Config) -> np.ndarray:
    """The theorem's where its hypothesis is met, on signals of their own; else a guess."""
    if setting.nonzeros == config.sparsity and config.sparsity < allowed_sparsity(dictionary):
        codes = setting.draw(jax.random.key(4), config.tested, config.atoms, dictionary.dtype)
        return guaranteed(np.asarray(dictionary, float), np.asarray(codes, float), config.layers)[
            "thresholds"
        ]
    return np.geomspace(0.3, 0.01, config.layers)


def allowed_sparsity(dictionary: jax.Array) -> float:
    """Below how many nonzeros the theorem holds."""
    mu = alista.generalized_coherence(dictionary, alista.analytic_weight(dictionary))
    return (1 + 1 / float(mu)) / 2


def trained(name: str, setting: Setting, dictionary: jax.Array, config: Config, lab: Lab) -> Any:
    """The network's parameters, trained in segments that the lab stores."""
    optimizer = optimiser(config.steps)
    objective = partial(mean_decibels, apply=NETWORKS[name], setting=setting, number=config.batch)
    thresholds = first_thresholds(dictionary, setting, config)
    learnt, held = start(name, dictionary, thresholds, setting.selection)

    @jax.jit
    def segment(state):
        def step(state, _):
            return training.step(state, (), objective=objective, optimizer=optimizer)

        return jax.lax.scan(step, state, length=SEGMENT)

    state, _ = lab.train(
        f"{name}, {setting.name}",
        segment,
        training.init(learnt, jax.random.key(1), held, optimizer=optimizer),
        -(-config.steps // SEGMENT),
    )
    return filled(state.state, state.params)


@partial(jax.jit, static_argnames=("steps", "accelerated"))
def proximal_gradient(
    dictionary: jax.Array, signals: jax.Array, penalty: jax.Array, *, steps: int, accelerated: bool
) -> jax.Array:
    """The iterates (steps, n, atoms) of ISTA, or of FISTA."""
    gram = jnp.matmul(dictionary.T, dictionary, precision="highest")
    curvature = jnp.linalg.eigvalsh(gram)[-1]

    def step(carry, _):
        codes, moved, t = carry
        left = signals - jnp.matmul(moved, dictionary, precision="highest")
        move = jnp.matmul(left, dictionary.T, precision="highest") / curvature
        new = soft_threshold(moved + move, penalty / curvature)
        after = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        ahead = new + (t - 1) / after * (new - codes) if accelerated else new
        return (new, ahead, after), new

    zeros = jnp.zeros((len(signals), len(dictionary)), signals.dtype)
    return jax.lax.scan(step, (zeros, zeros, jnp.ones((), signals.dtype)), length=steps)[1]


def classical_errors(dictionary: jax.Array, codes: jax.Array, config: Config) -> dict[str, np.ndarray]:
    """Errors of ISTA and FISTA in decibels, (groups, penalties, layers), and the penalties."""
    penalties = jnp.geomspace(1e-3, 1, config.penalties, dtype=codes.dtype)
    signals = jnp.matmul(codes, dictionary, precision="highest")

    def of(accelerated: bool, penalty: jax.Array) -> np.ndarray:
        iterates = proximal_gradient(
            dictionary, signals, penalty, steps=config.layers, accelerated=accelerated
        )
        return by_group(iterates, codes)

    found = {
        name: decibels(np.stack([of(name == "FISTA", penalty) for penalty in penalties], 1))
        for name in CLASSICAL
    }
    return found | {"penalties": np.asarray(penalties)}


def by_group(iterates: jax.Array, codes: jax.Array) -> np.ndarray:
    """Relative errors (groups, layers) of groups of signals."""
    layers, number, _ = iterates.shape
    errors = jnp.sum((iterates - codes) ** 2, axis=-1).reshape(layers, GROUPS, number // GROUPS)
    energies = jnp.sum(codes**2, axis=-1).reshape(GROUPS, -1)
    return np.asarray(jnp.sum(errors, -1) / jnp.sum(energies, -1)).T


def decibels(ratio: np.ndarray) -> np.ndarray:
    return 10 * np.log10(ratio)


def best_penalty(errors: np.ndarray) -> int:
    """The penalty of the least mean error after the last layer."""
    return int(np.argmin(errors[:, :, -1].mean(0)))


def line(errors: np.ndarray) -> tuple[float, float]:
    """Slope in decibels a layer and R² of a line through the errors from layer `FIRST` on."""
    layers = np.arange(FIRST, errors.size + 1)
    values = errors[FIRST - 1 :]
    left = values - np.polyval(np.polyfit(layers, values, 1), layers)
    return float(np.polyfit(layers, values, 1)[0]), float(1 - left.var() / values.var())


def guaranteed(dictionary: np.ndarray, codes: np.ndarray, layers: int) -> dict[str, Any]:
    """ALISTA with the theorem's thresholds, with step size 1: its largest errors and their bounds.

    The supremum in a threshold is taken over the signals themselves, for which the theorem then holds.
    """
    with jax.enable_x64(True):
        params = alista.init(jax.random.key(0), dictionary, steps=1, threshold=1.0)
        mu = float(alista.generalized_coherence(dictionary, params.weight))
        signals, z, thresholds = codes @ dictionary, np.zeros_like(codes), []
        for _ in range(layers):
            thresholds.append(mu * np.abs(z - codes).sum(axis=1).max())
            moved = z + (signals - z @ dictionary) @ np.asarray(params.weight).T
            z = np.asarray(soft_threshold(moved, thresholds[-1]))
        params = replace(
            params,
            step_size=np.ones(layers),
            threshold=np.asarray(thresholds),
            selected=(0,) * layers,
        )
        iterates = np.asarray(alista.apply(params, signals, iterates=True))
    sparsity = int((codes != 0).sum(axis=1).max())
    largest = sparsity * np.abs(codes).max()
    return {
        "thresholds": np.asarray(thresholds),
        "largest": np.linalg.norm(iterates - codes, axis=-1).max(axis=1),
        "bounds": largest * (mu * (2 * sparsity - 1)) ** np.arange(1, layers + 1),
        "false": int((iterates[:, codes == 0] != 0).sum()),
        "errors": decibels(((iterates - codes) ** 2).sum((1, 2)) / (codes**2).sum()),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    atoms = coherence.gaussian(jax.random.key(2), config.atoms, config.features)
    weight = alista.analytic_weight(atoms)
    mu = float(coherence.mutual_coherence(atoms))
    generalised = float(alista.generalized_coherence(atoms, weight))
    allowed = allowed_sparsity(atoms)
    lab.note(
        f"mutual coherence μ = {mu:.3f}, generalised coherence μ~ = {generalised:.3f}: the theorems are for "
        f"fewer than {allowed:.2f} nonzeros; signals have {config.density * config.atoms:g} on average, or "
        f"{config.sparsity}"
    )
    errors, learnt = {}, {}
    for setting in settings(config):
        codes = setting.draw(jax.random.key(3), config.tested, config.atoms, atoms.dtype)
        found = lab.cached(f"ISTA and FISTA, {setting.name}", partial(classical_errors, atoms, codes, config))
        for name in CLASSICAL:
            best = best_penalty(found[name])
            errors[setting.name, name] = found[name][:, best]
            lab.note(f"{setting.name}: the best penalty of {name} is {found['penalties'][best]:.4g}")
        for name, apply in NETWORKS.items():
            begun = lab.cached(f"begun: {name}, {setting.name}", lambda: np.asarray(lab.seconds))
            params = trained(name, setting, atoms, config, lab)
            ended = lab.cached(f"ended: {name}, {setting.name}", lambda: np.asarray(lab.seconds))
            learnt[setting.name, name] = params
            signals = jnp.matmul(codes, atoms, precision="highest")
            groups = decibels(by_group(apply(params, signals, iterates=True), codes))
            errors[setting.name, name] = groups
            slope, fit = line(groups.mean(0))
            lab.note(
                f"{setting.name}, {name}: {groups[:, -1].mean():.1f} dB after {config.layers} layers, "
                f"{slope:.2f} dB a layer from layer {FIRST} on (R² {fit:.3f}), "
                f"{float(ended - begun):.0f} s of training"
            )
    many, few = (setting.name for setting in settings(config))
    codes = settings(config)[1].draw(jax.random.key(3), config.tested, config.atoms, atoms.dtype)
    bound = None
    if config.sparsity < allowed:
        bound = guaranteed(np.asarray(atoms, float), np.asarray(codes, float), config.layers)
    lab.figure(
        "error_by_layer",
        plot_errors(errors, bound, (many, few), config),
        "Normalised error of the codes by layer. Dashed: lines fitted from layer "
        f"{FIRST} on; dotted: ALISTA with the theorem's thresholds, not learnt.",
    )
    lab.figure(
        "learnt",
        plot_learnt(learnt, (many, few)),
        "Learnt thresholds by layer, which must vanish for the codes to be found, and ALISTA's step sizes.",
    )
    return [
        bar_claim(errors[many, "LISTA-CP"], config),
        *fall_claims(errors, many, few, allowed, config),
        *theorem_claims(bound, config),
    ]


def bar_claim(errors: np.ndarray, config: Config) -> Claim:
    statement = "LISTA-CP with 16 layers and support selection errs by at most -30 dB at 250 x 500."
    expected = at_most(-30, unit="dB", source="our own bar; noiseless, a tenth of nonzeros")
    if (config.features, config.atoms, config.layers) != (250, 500, 16):
        size = f"{config.layers} layers at {config.features} x {config.atoms}"
        return Claim(statement, expected, None, f"{size} were trained")
    return Claim(statement, expected, mean(errors[:, -1], network="LISTA-CP"))


def mean(values: np.ndarray, *, paired: bool = False, **at: Any) -> Measured:
    return Measured(values.mean(), values.std(ddof=1) / np.sqrt(values.size), values.size, at, paired)


def fall_claims(
    errors: dict[Any, np.ndarray], many: str, few: str, allowed: float, config: Config
) -> list[Claim]:
    """Networks err less than ISTA and FISTA, and fall linearly in decibels."""
    met = config.sparsity < allowed
    unmet = f"{config.sparsity} nonzeros are not fewer than {allowed:.2f}"
    ahead = [
        mean(
            errors[name, network][:, -1] - np.minimum(*(errors[name, other][:, -1] for other in CLASSICAL)),
            paired=True,
            signals=name,
            network=network,
        )
        for name in (many, few)
        for network in NETWORKS
    ]
    fits = {
        (name, network): line(errors[name, network].mean(0)) for name in (many, few) for network in NETWORKS
    }

    def straight(name: str) -> list[Measured]:
        return [Measured(fits[name, network][1], at={"network": network}) for network in NETWORKS]

    slowest = 20 * np.log10((2 * config.sparsity - 1) / (2 * allowed - 1))
    return [
        Claim(
            "After as many layers, LISTA-CP and ALISTA err less than ISTA and FISTA at their best penalties.",
            below(0, unit="dB", source="Chen et al. 2018 and Liu et al. 2019, experiments"),
            ahead,
        ),
        Claim(
            f"Where the theorems' hypothesis is met, errors fall linearly in dB over layers {FIRST} to "
            f"{config.layers}: R².",
            at_least(0.95, source=f"Chen et al. 2018, theorem 2; {THEOREM}; the bar is ours"),
            straight(few) if met else None,
            "" if met else unmet,
        ),
        Claim(
            "There they fall at least as steeply as the theorem's rate for step size 1.",
            at_most(slowest, unit="dB a layer", source=THEOREM),
            [Measured(fits[few, network][0], at={"network": network}) for network in NETWORKS]
            if met
            else None,
            "" if met else unmet,
        ),
        Claim(
            "They fall linearly in dB, too, where a tenth of the codes are nonzero and the hypothesis is not "
            "met: R².",
            at_least(0.95, source="Chen et al. 2018 and Liu et al. 2019, experiments; the bar is ours"),
            straight(many),
        ),
    ]


def theorem_claims(bound: dict[str, Any] | None, config: Config) -> list[Claim]:
    """What the theorem says of ALISTA with its own thresholds."""
    reason = "" if bound else f"{config.sparsity} nonzeros do not meet the theorem's hypothesis"
    return [
        Claim(
            "With the theorem's thresholds, ALISTA's largest error is below s B exp(-c k) after every layer: "
            "the largest ratio of error and bound.",
            at_most(1, source=THEOREM),
            Measured((bound["largest"] / bound["bounds"]).max()) if bound else None,
            reason,
        ),
        Claim(
            "With them no layer has a nonzero outside of the support: how many there are.",
            equal_to(0, tolerance=0, source=THEOREM),
            Measured(bound["false"]) if bound else None,
            reason,
        ),
    ]


COLOURS = {"LISTA-CP": "#d55e00", "ALISTA": "#0072b2", "ISTA": "#999999", "FISTA": "#009e73"}


def plot_errors(errors: dict[Any, np.ndarray], bound: dict[str, Any] | None, names: Any, config: Config):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    layers = np.arange(1, config.layers + 1)
    for panel, name in zip(figure.subplots(1, 2), names):
        for method, colour in COLOURS.items():
            values = errors[name, method].mean(0)
            panel.plot(layers, values, "o-", ms=3, color=colour, label=method)
            if method in NETWORKS:
                fitted = np.polyfit(layers[FIRST - 1 :], values[FIRST - 1 :], 1)
                panel.plot(
                    layers[FIRST - 1 :], np.polyval(fitted, layers[FIRST - 1 :]), "--", color=colour, lw=1
                )
        if bound and name == names[1]:
            panel.plot(layers, bound["errors"], ":", color="black", label="ALISTA, theorem's thresholds")
        panel.set_title(f"{name}, {config.features} x {config.atoms}", fontsize=10)
        panel.set_xlabel("layer")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.axes[0].set_ylabel("normalised error (dB)")
    return figure


def plot_learnt(learnt: dict[Any, Any], names: Any):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    thresholds, sizes = figure.subplots(1, 2)
    for (name, network), params in learnt.items():
        layers = np.arange(1, len(params.threshold) + 1)
        style = {"color": COLOURS[network], "ls": "-" if name == names[0] else "--", "marker": "o", "ms": 3}
        thresholds.semilogy(layers, params.threshold, label=f"{network}, {name}", **style)
        if network == "ALISTA":
            sizes.plot(layers, params.step_size, label=name, **style)
    thresholds.set_ylabel("threshold")
    sizes.set_ylabel("ALISTA's step size")
    for panel in (thresholds, sizes):
        panel.set_xlabel("layer")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    return figure
