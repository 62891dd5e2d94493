"""The lab: what runs an experiment, keeps what it finds and shows it; the command line.

An experiment needs these names only; everything else is loaded by what uses it:

- `Claim`, `Measured` and the expectations `at_most`, `at_least`, `below`, `above`, `between`, `equal_to`;
- `Lab`, which an experiment's `run(config, lab)` receives, and `experiment`, which makes `lab` optional;
- `Sweep` and `paired_difference`.
"""

from jaxtheory.lab.record.claims import (
    Claim,
    Claims,
    Expected,
    Measured,
    Verdict,
    above,
    at_least,
    at_most,
    below,
    between,
    equal_to,
)
from jaxtheory.lab.record.laboratory import Lab, experiment
from jaxtheory.lab.record.sweeps import Sweep, paired_difference

__all__ = [
    "Claim",
    "Claims",
    "Expected",
    "Lab",
    "Measured",
    "Sweep",
    "Verdict",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "equal_to",
    "experiment",
    "paired_difference",
]
