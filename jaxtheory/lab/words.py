"""Durations and counts in words, as every part of the lab writes them."""


def duration(seconds: float | int) -> str:
    """Write how long something took, as '2 min 05 s'.

    Args:
        seconds: The seconds that it took, at least 0.

    Returns:
        The words.

    Example:
        >>> [duration(one) for one in (0.31, 42, 125, 36_660)]
        ['0.3 s', '42 s', '2 min 05 s', '10 h 11 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def timing(seconds: float | int) -> str:
    """Write a measured time with three digits, in the unit that suits it.

    Args:
        seconds: The seconds that were measured, at least 0.

    Returns:
        The words.

    Example:
        >>> [timing(one) for one in (12.345, 0.0123456, 4.5e-6)]
        ['12.3 s', '12.3 ms', '4.5 µs']
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def counted(n: int, noun: str) -> str:
    """Write a number of things, as '1 claim' or '1,000 claims'.

    Args:
        n: The number of things.
        noun: The name of one of them, of which an s makes the plural.

    Returns:
        The words.

    Example:
        >>> counted(1, "claim"), counted(1000, "claim")
        ('1 claim', '1,000 claims')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
