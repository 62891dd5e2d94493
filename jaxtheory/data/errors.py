"""What data that cannot be used raises: one family, so that a command can answer in one line."""

INSTALL = "pip install 'jaxtheory[experiments]'"
"""The command that installs the libraries that carry the data."""


class DataError(ValueError):
    """Data that cannot be used: the message names the file, the fault and the remedy."""


class MissingDataError(DataError, FileNotFoundError):
    """Data that is not where it was looked for."""
