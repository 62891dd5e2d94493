"""The code that the documentation shows, run as it stands there."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d, scattering2d

ROOT = Path(__file__).parents[1]
MESSAGES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
"""What devices say to each other, in a compiled program."""


def blocks(name: str, language: str = "python") -> list[str]:
    """The code blocks of a page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_readmes_example_gives_gradients_of_filters_and_images():
    [code] = [block for block in blocks("README.md") if "filter_gradient" in block]
    assert len(code.strip().splitlines()) <= 7
    found = {}
    exec(code, found)
    assert found["filter_gradient"].wavelets.shape == found["bank"].wavelets.shape
    assert found["image_gradient"].shape == (16, 32, 32)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found["filter_gradient"]))


def test_the_cell_for_colab_is_that_of_the_notebook():
    [cell] = blocks("README.md", "ipython")
    notebook = json.loads((ROOT / "docs/notebooks/colab_tpu.ipynb").read_text(encoding="utf-8"))
    lines = [line.strip() for one in notebook["cells"] for line in one["source"]]
    assert all(line in lines for line in cell.splitlines())
    assert (ROOT / cell.split()[-1].removeprefix("source/")).is_file()


def test_the_page_on_kymatio_says_what_becomes_of_a_list_and_of_padded_images(rng):
    page = (ROOT / "docs/kymatio.md").read_text(encoding="utf-8")
    assert "zip(scattering2d.paths(bank), np.moveaxis(y, -3, 0))" in page
    bank = scattering2d.filter_bank((16, 16), J=2, L=3)
    x = np.float32(rng.standard_normal((16, 16)))
    y = scattering2d.scatter(bank, x)
    entries = list(zip(scattering2d.paths(bank), np.moveaxis(np.asarray(y), -3, 0)))
    assert len(entries) == y.shape[0]
    assert entries[-1][0].scales == (0, 1)
    assert entries[-1][1].shape == (4, 4)
    # Kymatio's pre_pad: reflection done by hand, then a bank that is periodic on the padded image.
    padded = np.pad(x, 4, mode="reflect")
    assert padded.shape == bank.grid
    periodic = scattering2d.filter_bank(padded.shape, J=2, L=3, boundary="periodic")
    inside = scattering2d.scatter(periodic, padded)[..., 1:-1, 1:-1]
    np.testing.assert_allclose(inside, y, rtol=0, atol=1e-5 * np.abs(y).max())


@pytest.mark.beyond
def test_the_page_on_sharding_gathers_nothing(rng):
    [code] = blocks("docs/sharding.md")
    found = {}
    exec(code, found)
    scatter, bank = found["scatter"], found["bank"]
    assert found["mesh"].size == 8
    assert found["coefficients"].sharding.is_equivalent_to(found["by_image"], 4)
    images = jax.device_put(np.float32(rng.standard_normal((32, 32, 32))), found["by_image"])
    alone = scattering2d.scatter(jax.device_get(bank), jax.device_get(images))
    np.testing.assert_allclose(scatter(bank, images), alone, rtol=0, atol=1e-6 * np.abs(alone).max())
    text = scatter.lower(bank, images).compile().as_text()
    assert "num_partitions=8" in text
    assert not [word for word in MESSAGES if word in text]

    def energy(bank, images, scatter):
        return jax.numpy.mean(scatter(bank, images) ** 2)

    gradient = jax.jit(jax.grad(energy, argnums=(0, 1)), static_argnums=2)
    for one, other in zip(
        jax.tree.leaves(gradient(bank, images, scatter)),
        jax.tree.leaves(gradient(jax.device_get(bank), jax.device_get(images), scattering2d.scatter)),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    # The gradient of the bank is summed over the devices, and nothing is gathered for it.
    text = gradient.lower(bank, images, scatter).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text


def test_without_shard_map_the_compiler_would_gather():
    """The page's reason for `shard_map`, and what shows that gathers would be seen."""
    [code] = blocks("docs/sharding.md")
    found = {}
    exec(code, found)
    scatter = jax.jit(scattering2d.scatter, static_argnames="chunk")
    text = scatter.lower(found["bank"], found["images"], chunk=1).compile().as_text()
    assert "all-gather" in text


def test_what_the_pages_link_to_is_there():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    links = [
        page.parent / target
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert len(links) > 5
    assert [str(link) for link in links if not link.exists()] == []


@pytest.mark.beyond
def test_the_page_on_sparse_coding_walks_from_pursuits_to_networks():
    found = {}
    for block in blocks("docs/sparse.md"):
        exec(block, found)
    assert 6 < found["guaranteed"] < 9
    assert 6 < found["limit"] < 8
    support = set(found["support"].tolist())
    for codes in (found["greedy"].codes, found["crude"].codes, found["solution"].codes):
        assert set(np.flatnonzero(codes).tolist()) == support
    assert bool(found["solution"].converged)
    # Each of the six coefficients shrinks; how fast, the correlations among the atoms say.
    assert found["slope"] == pytest.approx(-6, abs=6 * 6 * float(found["mu"]))
    assert found["same"].all()
    np.testing.assert_allclose(found["network"], found["pursued"][-1], rtol=0, atol=1e-5)
    assert not found["promise"].holds.any()
    assert found["numbers"] == [604_909, 604_909]
    assert found["logits"].shape == (4, 10)
    assert found["metrics"]["objective"][-10:].mean() < found["metrics"]["objective"][0]
    assert np.all(np.diff(found["history"]["objective"]) < 0)
    # The images are white noise of deviation 1: what is left when half of it is taken for noise is smaller.
    assert np.std(found["cleaned"]) < 0.7
    missing = ~np.asarray(found["known"])
    assert np.isfinite(found["filled"]).all()
    assert np.std(np.asarray(found["filled"])[missing]) < np.std(np.asarray(found["filled"])[~missing])


@pytest.mark.beyond
def test_the_page_on_approximation_carries_out_what_theorems_say():
    found = {}
    for block in blocks("docs/approximation.md"):
        exec(block, found)
    assert found["ratios"].max() <= 1.001
    assert found["error"] <= 0.01
    assert found["values"] == 7 * (found["cells"] + 1) ** 2 < found["on_a_tensor_grid"] / 1000
    assert found["largest"] == pytest.approx(found["error_of_square"], rel=1e-2)
    assert found["error_of_square"] == 2.0**-12
    assert found["pieces"] == 256
    assert 16 < found["of_random"] < found["of_some"] < found["of_any"]
    assert (float(found["below"]), float(found["above"])) == (0, 1)
    assert (found["layers"], found["edges"], found["bits"]) == (3, 26, 16)
    assert found["difference"] < 1e-8
    assert found["filters"] <= 32
    spread = found["pairs"].std(0) / len(found["pairs"]) ** 0.5
    assert np.all(np.abs(found["estimate"] - found["solution"]) < 5 * spread)


@pytest.mark.beyond
def test_the_page_on_scattering_shows_what_it_says():
    found = {}
    for block in blocks("docs/scattering.md"):
        exec(block, found)
    assert found["coefficients"].shape[1:] == (16, 16)
    assert found["path"].order == 2
    assert found["near"] < found["far"] / 3
    shares = np.asarray(found["shares"])
    assert 0.95 < shares.sum() < 1.0001
    assert shares[0] > shares[1] > shares[2] > shares[3]
    ours, copied = np.asarray(found["ours"])[1:], np.asarray(found["copied"])[1:]
    assert np.linalg.norm(ours - copied) > 0.1 * np.linalg.norm(ours)
    np.testing.assert_allclose(found["of_ours"].power, found["of_copy"].power, rtol=1e-3)
    lost, kept = (np.linalg.norm(found[name].phases) for name in ("of_copy", "of_ours"))
    assert lost < kept / 2
    assert found["summary"].ndim == 1
    assert found["again"].residual < 0.1
    np.testing.assert_allclose(found["before"], found["after"], rtol=2e-3, atol=1e-4)
    assert np.linalg.norm(found["turned"] - found["brick"]) > np.linalg.norm(found["brick"])
    np.testing.assert_allclose(found["energies_see"], found["and_again"], rtol=3e-2)
    assert np.abs(found["rho"] - found["elsewhere"]).max() > 0.05 * found["rho"].max()
    table = scattering1d.paths(found["of_sounds"])
    loudest = max(
        (one for one in zip(found["second"], table) if one[1].order == 2), key=lambda one: float(one[0])
    )
    assert abs(np.log2(loudest[1].frequencies[1] * 512)) < 0.5


@pytest.mark.beyond
def test_the_page_on_statistics_goes_from_noise_to_certificates():
    found = {}
    for block in blocks("docs/statistics.md"):
        exec(block, found)
    assert found["error_of_memory"] < 1e-3
    changed = np.mean(np.asarray(found["noisy"]) != np.asarray(found["labels"]))
    assert 0.4 < changed < 0.5
    np.testing.assert_allclose(found["raw"], 4, rtol=1e-3)
    np.testing.assert_allclose(found["normalized"], found["of_twice"], rtol=1e-4, atol=1e-6)
    assert 3 < found["norm"] <= 4.6
    assert np.argmax(found["norms"]) == 1
    separator = found["separator"]
    assert separator.separable
    assert separator.margin == pytest.approx(float(separator.bound), rel=1e-3)
    assert np.all(np.diff(found["gaps"]) < 0)
    assert found["deviation"] < 0.2
    np.testing.assert_allclose(found["fitted"], found["values"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["averaged"], found["values"][:5], rtol=0, atol=0.1)
    assert found["parts"].solved
    certificate = found["certificate"]
    assert certificate.risk < certificate.bound < 0.5


@pytest.mark.beyond
def test_the_page_on_inspection_attacks_certifies_and_looks_into_three_models():
    found = {}
    for block in blocks("docs/inspection.md"):
        assert sum(map(bool, block.splitlines())) <= 10
        exec(block, found)
    assert found["clean"] > 0.95
    assert found["attacked"] < 0.5
    assert found["attack"].distance.max() <= 0.1 * (1 + 1e-5)
    # No attack of that size leaves less than what is certified.
    assert 0.5 < found["certified"] <= found["clean"]
    assert found["scores"](found["params"], found["seen"].x[3]).argmax() == 3
    assert np.all(found["seen"].activation > found["logits"](found["params"], found["images"]).max())
    assert found["step"].success.mean() > 0.5
    assert np.median(found["smallest"].distance) < 0.05
    outputs = found["answers"](found["arrays"], found["step"].x)
    assert np.all((found["lower"] <= outputs + 1e-5) & (outputs <= found["upper"] + 1e-5))
    assert found["found"].residual < 0.6
    kept = 1 - found["through"].success.mean()
    assert kept < (found["chain"](found["fitted"], found["images"]).argmax(1) == found["labels"]).mean()
    assert np.all(found["voted"].label == found["labels"][:4])
    assert np.all(found["voted"].radius > 0)
    assert np.all(found["tuning"].modulation < 0.1)
    angles = np.asarray(found["tuning"].angle) % np.pi
    turned = np.abs(np.diff(np.concatenate([angles[:4], angles[:1]])) % np.pi - np.pi / 4)
    np.testing.assert_allclose(turned, 0, atol=0.1)


@pytest.mark.beyond
def test_the_page_on_history_goes_from_the_perceptron_to_residual_networks():
    found = {}
    for block in blocks("docs/history.md"):
        exec(block, found)
    assert bool(found["learned"].converged)
    assert found["line"].separable
    assert found["learned"].mistakes <= found["most"]
    assert not found["crossed"].separable
    # Ones of one class and of the other have the same mean.
    signs = np.where(found["either_or"] == 1, 1, -1)
    weighted = [share * int(sign) for share, sign in zip(found["proof"], signs)]
    assert sum(found["proof"]) > 0
    assert [sum(w * int(v) for w, v in zip(weighted, column)) for column in found["x"].T] == [0, 0]
    assert sum(weighted) == 0
    assert found["orders"] == [2, 3, 4]
    assert found["hanging_together"] == 2
    answering = np.asarray(found["answers"]) > 0
    assert answering.sum(1).tolist() == [1, 1]
    assert not np.any(answering[0] & answering[1])
    assert found["logits"].shape == (2, 10)
    columns = np.arange(28) @ np.asarray(found["upright"]).T
    ink = np.asarray(found["upright"]).sum(1)
    np.testing.assert_allclose((columns[7:21] / ink[7:21]), 13.5, atol=1e-3)
    assert found["sizes"] == {"AlexNet": 61_100_840, "VGG-16": 138_357_544, "ResNet-50": 25_557_032}


@pytest.mark.parametrize(
    ("page", "folder"),
    [
        ("approximation", "approximation"),
        ("history", "history"),
        ("inspection", "puzzles"),
        ("scattering", "harmonic"),
        ("statistics", "statistics"),
    ],
)
def test_figures_on_a_page_are_those_of_full_verdicts(page, folder):
    page = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    stored = json.loads((ROOT / "docs/verdicts_full.json").read_text(encoding="utf-8"))
    names = {path.stem for path in (ROOT / f"experiments/{folder}").glob("*.py")} - {"__init__"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    quoted = 0
    for section in page.split("\n## "):
        [experiment] = re.findall(r"Experiment `(\w+)`", section) or [""]
        figures = re.findall(
            r"\d+\.\d+", " ".join(re.findall(r"\(full form: ([^)]*)\)", " ".join(section.split())))
        )
        runs = stored.get(f"{folder}/{experiment}", [])
        measured = " ".join(claim["measured"] for one in runs for claim in one["claims"].values())
        assert [figure for figure in figures if figure not in measured] == []
        quoted += len(figures)
    assert quoted > 0
