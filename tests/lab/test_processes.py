"""Children that end with their parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
from jaxtheory.lab.processes import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(60)
'''], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_child_ends_with_a_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while True:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        # Whoever takes orphans may leave it as it ended.
        state = Path(f"/proc/{child}/stat")
        if state.exists() and ") Z " in state.read_text():
            return
        assert time.monotonic() < deadline, "the child goes on"
        time.sleep(0.1)
