"""Runs: a directory for each configuration, data and source, held by one process at a time, and resumable."""

import dataclasses
import datetime as dt
import json
import platform
import shutil
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from jaxtheory import __version__
from jaxtheory.data.errors import DataError
from jaxtheory.lab import machine
from jaxtheory.lab.errors import Broken, Failure, LabError
from jaxtheory.lab.progress import Display
from jaxtheory.lab.record import storage
from jaxtheory.lab.record.claims import Claim
from jaxtheory.lab.record.digests import data_digest, source_digest
from jaxtheory.lab.record.discovery import Experiment
from jaxtheory.lab.record.laboratory import Lab
from jaxtheory.lab.record.locks import held
from jaxtheory.lab.record.ranges import check_config

FORMAT = 3
"""The version of `findings.json`: findings of another are left out, and computed again."""
FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("experiment", "section", "claim", "lecture", "source", "form", "command"), str),
    "seconds": (int, float),
    "finished": str,
    **dict.fromkeys(("data", "notes", "claims", "figures"), list),
}
"""What findings hold."""
CLAIM_FIELDS = {"statement", "expected", "measured", "measured_text", "verdict", "close", "needs", "reason"}
"""What each of their claims holds."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How an experiment is run, apart from its configuration."""

    runs: Path = Path("runs")
    data_dir: Path | None = None
    seed: int = 0
    quick: bool = False  # the small form was asked for
    form: str = "custom"  # quick, full or custom: what the configuration is
    fresh: bool = False  # compute everything again
    command: str = ""  # what repeats the run


def conduct(
    experiment: Experiment,
    run: Callable[..., Any],
    config: Any,
    options: Options,
    display: Display | None = None,
) -> tuple[dict[str, Any], Path]:
    """Run or resume an experiment, or read what it found.

    Args:
        experiment: The experiment to run.
        run: The experiment's `run(config, lab)`.
        config: The experiment's configuration.
        options: How the experiment is run, apart from its configuration.
        display: The display on which progress is shown.

    Returns:
        The findings and the directory that holds them.

    Raises:
        Usage: If a field of the configuration is out of its range.
        Failure: If the experiment raises, is running elsewhere, or cannot be stored.
    """
    check_config(config)
    identity = identify(experiment, config, options)
    digest = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    directory = options.runs / experiment.name / digest
    display = display or Display()
    words = {"claim": experiment.claim, "lecture": experiment.lecture, "source": experiment.source}
    if not options.fresh and (findings := read_findings(directory, display.say)):
        return findings | words, directory  # rewording a docstring leaves a run as it is
    with held(directory):
        _clear(directory, everything=options.fresh)
        if findings := read_findings(directory, display.say):  # another process has just ended
            return findings | words, directory
        storage.write_json(directory / "config.json", identity["config"])
        storage.write_json(
            directory / "environment.json", {**environment(), **identity, "form": options.form}
        )
        lab = Lab(
            directory, data_dir=options.data_dir, quick=options.quick, seed=options.seed, display=display
        )
        claims = _claims(experiment, run, config, lab)
        findings = {
            "format": FORMAT,
            "experiment": experiment.name,
            "section": experiment.section,
            **words,
            "form": options.form,
            "command": options.command,
            "seconds": round(lab.seconds, 1),
            "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "data": lab.data,
            "notes": lab.notes,
            "claims": [claim.as_json() for claim in claims],
            "figures": lab.figures,
        }
        storage.write_json(directory / "findings.json", findings)
    return storage.as_json(findings), directory


def _claims(experiment: Experiment, run: Callable[..., Any], config: Any, lab: Lab) -> list[Claim]:
    """What the experiment claims; its own errors go to a file, with a line that says where."""
    kept = lab.directory / "traceback.txt"
    try:
        claims = _checked(run(config, lab))
    except (LabError, DataError):  # their one line says all
        raise
    except (Exception, SystemExit) as error:
        storage.write(kept, lambda file: file.write(storage.encoded(traceback.format_exc())))
        message = " ".join(str(error).split())
        raise Failure(
            f"{experiment.id} failed: {type(error).__name__}: {message:.500} "
            f"(the traceback is in {kept}; what was done before is kept)"
        ) from error
    kept.unlink(missing_ok=True)
    return claims


def _checked(claims: Any) -> list[Claim]:
    if (
        not isinstance(claims, list | tuple)
        or not claims
        or not all(isinstance(one, Claim) for one in claims)
    ):
        raise TypeError(f"run returned {claims!r:.80}: return a list of claims")
    statements = [claim.statement for claim in claims]
    if len(set(statements)) < len(statements):
        raise ValueError("two claims have the same statement: word them apart")
    return list(claims)


def read_findings(directory: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any] | None:
    """Return what a finished run found.

    Args:
        directory: The directory of the run.
        say: A function that takes a line saying why stored findings cannot be used.

    Returns:
        The findings; `None` for a run that is not finished, or whose findings are damaged or of another
        version.

    Raises:
        Failure: If the file cannot be read.
    """
    try:
        return _read_whole(directory / "findings.json")
    except Broken as error:
        say(f"{error}: going on with the run")
        return None


def finished(runs: Path, say: Callable[[str], None] | None = None) -> list[tuple[dict[str, Any], Path]]:
    """Return findings and directory of every finished run, the newest first.

    Args:
        runs: Folder of the runs.
        say: A function that takes a line for each file that cannot be used; by default the line goes to
            standard error.

    Returns:
        Pairs of findings and directory.

    Raises:
        Failure: If a file cannot be read.
    """
    found = []
    for path in sorted(runs.glob("*/*/findings.json")):
        try:
            if findings := _read_whole(path):
                found.append((findings, path.parent))
        except Broken as error:
            line = f"{error}: it is left out, and its command computes it again"
            if say is None:
                shown = storage.encoded(f"jaxtheory: {line}").decode()
                print(shown, file=sys.stderr)
            else:
                say(line)
    return sorted(found, key=lambda one: one[0]["finished"], reverse=True)


def _read_whole(path: Path) -> dict[str, Any] | None:
    """Findings of this version, or None where there are none; Broken for others."""
    try:
        findings = storage.read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    if not isinstance(findings, dict) or not findings.get("claims"):
        raise Broken(f"{path} holds no claims")
    if findings.get("format") != FORMAT:
        raise Broken(f"{path} is of another version of jaxtheory")
    for name, kind in FIELDS.items():
        if not isinstance(findings.get(name), kind):
            raise Broken(f"{path} has no '{name}' as findings have it")
    if not all(isinstance(one, dict) and one.keys() >= CLAIM_FIELDS for one in findings["claims"]):
        raise Broken(f"{path} has claims that lack something")
    return findings


def is_stale(directory: Path, experiment: Experiment) -> bool:
    """Return whether what the experiment computes, with all that it reaches, has changed since the run."""
    try:
        return storage.read_json(directory / "environment.json")["source"] != source_digest(experiment.path)
    except (OSError, LabError, KeyError, TypeError):  # what cannot be read or parsed is another source
        return True


def identify(experiment: Experiment, config: Any, options: Options) -> dict[str, Any]:
    """Return all that a finding depends on."""
    import jax

    return {
        "experiment": experiment.id,
        "config": dataclasses.asdict(config),  # no NaN or infinity is taken for None here
        "quick": options.quick,
        "seed": options.seed,
        "data": data_digest(options.data_dir),
        "dtype": "float64" if jax.config.jax_enable_x64 else "float32",
        "platform": jax.default_backend(),
        "source": source_digest(experiment.path),
    }


def environment() -> dict[str, Any]:
    """Return what the run was made with, in words that name no machine."""
    import jax

    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {
        "python": platform.python_version(),
        "jaxtheory": __version__,
        **versions,
        "machine": machine.in_words(),
        "devices": len(jax.devices()),
    }


def _clear(directory: Path, *, everything: bool) -> None:
    """Remove files that a kill left unfinished, or all that is stored."""
    with storage.failing_clearly(directory):
        for path in directory.rglob(f"{storage.ASIDE}*"):
            path.unlink(missing_ok=True)
        if everything:
            # The findings first: without them the run counts as unfinished.
            (directory / "findings.json").unlink(missing_ok=True)
            for path in directory.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name not in ("lock", "heartbeat.json"):
                    path.unlink()
