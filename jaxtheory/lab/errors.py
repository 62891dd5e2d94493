"""What the command line shows as one line, each kind with its exit status."""


class LabError(Exception):
    """A fault that one line explains; `status` is what the command exits with."""

    status = 3


class Failure(LabError):
    """A run, bench or preparation failed, refused its data or is running elsewhere."""


class Usage(LabError):
    """The command was used wrongly."""

    status = 2


class Broken(LabError):
    """A stored file is damaged or another than was expected."""
