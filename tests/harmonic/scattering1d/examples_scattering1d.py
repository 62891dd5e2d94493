"""Rows of the table of examples: the scattering transform of signals."""

from jaxtheory.harmonic import scattering1d
from tests.example_rows import Example, float32


def scattered_signals(rng, length, **facts):
    """A bank with a signal of its length."""
    return scattering1d.filter_bank(length, **{"J": 3, "Q": 2} | facts), float32(rng, length)


EXAMPLES: list[Example] = [
    Example(
        scattering1d.scatter,
        lambda rng: scattered_signals(rng, 37),
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering1d.scatter,
        lambda rng: scattered_signals(rng, 32, boundary="periodic", folding="sum", T="global"),
        {"chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="global",
    ),
    Example(
        scattering1d.propagate,
        lambda rng: scattered_signals(rng, 37),
        leading=(1,),
        differentiable=(0, 1),
        export="its result is keyed by scales, and exported dictionaries are keyed by strings",
        devices=True,
    ),
    Example(
        scattering1d.littlewood_paley,
        lambda rng: scattered_signals(rng, 32)[:1],
        leading=(),
        differentiable=(0,),
        vmap="one bank at a time: its filters are those of one length and one set of scales",
        integer="it takes filters only, which are no whole numbers",
    ),
]


NOT_TRACED: dict[str, str] = {
    "harmonic.scattering1d.banks.filter_bank": "makes filters from sizes",
    "harmonic.scattering1d.coefficients.paths": "a table of what the channels hold",
    "harmonic.scattering1d.recordings.stream": "makes a pair of functions; its tests compile the step",
    "harmonic.scattering1d.recordings.scatter_recording": "drives that pair over blocks of any lengths",
}
