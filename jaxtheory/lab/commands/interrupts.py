"""Signals that stop the process at once, even during a compiled call, which would not return for them."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

INTERRUPTED = 130
"""The exit status after a signal."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, SIGTERM, and the end of the terminal or connection."""
FLUSHING = 1.0
"""Seconds that printed text has to leave the process."""
SHOW_CURSOR = "\x1b[?25h\r\x1b[K"
"""What brings back the cursor that bars have hidden, and clears their line."""


@contextlib.contextmanager
def stopping(last_words: Callable[[], str], clean_up: Callable[[], None] = lambda: None) -> Iterator[None]:
    """End the process when a signal arrives, from a thread that waits for nothing else.

    It is as safe as a kill is: files appear whole or not at all. A signal that was ignored before, as by
    `nohup`, stays ignored.

    Args:
        last_words: A function that returns the line printed before the end.
        clean_up: A function that is called before the end; it takes a moment at most.
    """
    watched = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread() or not watched:
        yield
        return
    listening, speaking = socket.socketpair()
    speaking.setblocking(False)

    def watch() -> None:
        with listening:
            while received := listening.recv(1):
                if received[0] in watched:
                    stop()

    def stop() -> None:
        # The main thread may hold the lock of what it is printing to.
        timer = threading.Timer(FLUSHING, os._exit, (INTERRUPTED,))
        timer.daemon = True
        timer.start()
        clean_up()
        with contextlib.suppress(OSError):  # the terminal may have gone
            shown = SHOW_CURSOR if sys.stderr.isatty() else ""
            os.write(2, f"{shown}{last_words()}\n".encode(errors="surrogateescape"))
            sys.stdout.flush()
        os._exit(INTERRUPTED)

    # The C half of Python's handler writes to the socket at once; the Python half has nothing left to do.
    handlers = {one: signal.signal(one, lambda *_: None) for one in watched}
    descriptor = signal.set_wakeup_fd(speaking.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for one, handler in handlers.items():
            signal.signal(one, handler)
        speaking.close()
        watcher.join()
