"""Experiments for the commands to run, and their errors read."""

from tests.lab import made_experiments as made

FIELDS = """
@dataclass(frozen=True)
class Config:
    {field}


QUICK = Config()


@experiment
def run(config, lab):
    lab.note(repr(config))
    print("something of the experiment's own")
    return [Claim("One is one.", above(0, source="arithmetic"), exact(1))]
"""

FAILING = made.faithless('raise RuntimeError("out of\\nluck")')

UNTRUE = made.faithless('return [one, Claim("One is three.", above(2.5, source="a guess"), exact(1))]')


def one_line(errors):
    assert errors.startswith("jaxtheory: ")
    assert errors.count("\n") == 1
    return errors[len("jaxtheory: ") : -1]
