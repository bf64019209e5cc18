"""A process that steps back does so with all its threads, those to come included; given once, it is not given twice."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, os, threading
from resources.priority import step_back

gate, seen = threading.Event(), {}

def look(name, wait):
    if wait:
        gate.wait(5)
    seen[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

before = threading.Thread(target=look, args=("before", True))
before.start()
step_back(7)
step_back(3)
gate.set()
before.join()
after = threading.Thread(target=look, args=("after", False))
after.start()
after.join()
look("own", False)
print(json.dumps(seen))
"""


def test_all_threads_step_back_and_none_comes_forward() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(told.stdout) == {"before": 7, "after": 7, "own": 7}
