"""Benches: ours and the peers in one run, in turns, each in a process of its own.

Any file of `experiments/benchmarks/` is a bench. It says what is measured in the first sentence of its
docstring and holds `CASES` and `CONTESTANTS`; `programs()` and `checks()`, if they are there, name programs
to compile ahead of time and small problems to check devices with (`jaxtheory.lab.machines.programs`):

    from jaxtheory.lab.machines.bench import Case, Contestant, faster

    CASES = [Case("1000 numbers", {"n": 1000}, [faster(2.0, than="numpy", aim=3.0)], tolerance=1e-6)]
    CONTESTANTS = {
        "jaxtheory": Contestant("ours", ours),
        "numpy": Contestant("peer", numpy_sort, threads=(1, 2)),
        "a copy": Contestant("limit", copy),
    }

`ours(**case.options)` imports what it needs, makes its inputs and returns a function of no argument, which
is what is timed. What that returns is compared with ours, so that nobody is timed at something else.

- `spec`: what a bench file is made of, and how it is found and read;
- `process`, `worker`: the two ends of a contestant's process;
- `measurement`: the turns;
- `judge`: rows of figures, and whether bars were reached;
- `table`: what was measured, as Markdown;
- `main`: what `jaxtheory bench` does.
"""

from jaxtheory.lab.machines.bench.spec import Bar, Case, Contestant, faster, within

__all__ = ["Bar", "Case", "Contestant", "faster", "within"]
