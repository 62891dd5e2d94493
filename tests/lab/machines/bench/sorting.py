"""A bench that sorts, and what is measured of it."""

from jaxtheory.lab.machines.bench import measurement, spec
from jaxtheory.lab.progress import Display, Silent

SORTING = '''
    """Sorting of numbers,
    in several ways.

    The rest of the docstring.
    """

    import numpy as np

    from jaxtheory.lab.machines.bench import Case, Contestant, faster, within

    CASES = [
        Case(
            "small",
            {"n": 500},
            [
                faster(1e-6, than="slow"),
                faster(1e9),
                within(1e-12),
                within(60.0),
                faster(1e-9, quantity="first call"),
            ],
            tolerance=1e-6,
        ),
    ]

    def ours(n):
        x = np.random.default_rng(0).random(n)
        return lambda: np.sort(x)

    def slow(n):
        print("what libraries print is no answer")
        x = np.random.default_rng(0).random(n)
        return lambda: np.array(sorted(x))

    def copy(n):
        return np.random.default_rng(0).random(n).copy

    CONTESTANTS = {
        "jaxtheory": Contestant("ours", ours),
        "slow": Contestant("peer", slow, threads=(1, 2)),
        "copy": Contestant("limit", copy),
    }
'''


def rows(report, case=0):
    """The contestants of a case by name."""
    return {row["name"]: row for row in report["cases"][case]["contestants"]}


def measured(file, *, peers=True, repeats=2):
    """What a bench measures."""
    return measurement.measure(spec.load(file), peers=peers, repeats=repeats, display=Display(Silent()))
