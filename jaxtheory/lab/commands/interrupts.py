"""Ctrl-C that stops at once, even while a compiled call runs: it does not return for signals."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

INTERRUPTED = 130
FLUSHING = 1.0
"""Seconds that printed text has to leave the process."""


@contextlib.contextmanager
def stopping(last_words: Callable[[], str], clean_up: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Ends the process at Ctrl-C from a thread that waits for nothing else.

    It is as safe as a kill is: files appear whole or not at all.

    Args:
        last_words: What is printed before.
        clean_up: What is done before; takes a moment at most.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    listening, speaking = socket.socketpair()
    speaking.setblocking(False)

    def watch():
        with listening:
            while received := listening.recv(1):
                if received[0] == signal.SIGINT:
                    stop()

    def stop():
        # The main thread may hold the lock of what it is printing to.
        timer = threading.Timer(FLUSHING, os._exit, (INTERRUPTED,))
        timer.daemon = True
        timer.start()
        clean_up()
        show_cursor = "\x1b[?25h\r\x1b[K" if sys.stderr.isatty() else ""
        os.write(2, f"{show_cursor}{last_words()}\n".encode())
        sys.stdout.flush()
        os._exit(INTERRUPTED)

    # The C half of Python's handler writes to the socket at once; the Python half has nothing left to do.
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    descriptor = signal.set_wakeup_fd(speaking.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGINT, handler)
        speaking.close()
        watcher.join()
