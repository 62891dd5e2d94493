"""What a child process does for its parent's sake."""

import os
import threading
import time

WATCH = 0.5
"""Seconds between two looks at whether the parent is still there."""


def end_with_parent() -> None:
    """End this process soon after its parent, however that ended, even in the midst of a compiled call."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
