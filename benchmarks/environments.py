"""The Python environments of the baselines. Étalon's own never holds their packages.

Each is made once, from ``baselines/<name>.txt`` (every package pinned), and kept in a folder; another list or another Python
makes another environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "baselines"


def environment(name: str, folder: Path) -> Path:
    """The Python of the baseline's environment in ``folder``, made if it is not there yet.

    Raises FileNotFoundError when there is no list of that name, RuntimeError with pip's words when it cannot be made.
    """
    home = folder.absolute() / environment_name(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    python = home / "bin" / "python"
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".ready").exists():
            sys.stderr.write(f"making the environment {home.name}, once\n")
            shutil.rmtree(home, ignore_errors=True)
            _make(home, python, REQUIREMENTS / f"{name}.txt")
            (home / ".ready").touch()
    return python


def environment_name(name: str) -> str:
    """Its folder's name, which changes with the list and with Python."""
    wanted = (REQUIREMENTS / f"{name}.txt").read_bytes() + platform.python_version().encode()
    return f"{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"


def _make(home: Path, python: Path, requirements: Path) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [*pip, "--only-binary", ":all:", "-r", str(requirements)],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(
                f"the environment of {requirements.name} cannot be made: {' '.join(command)}\n{done.stdout}"
            )
    # byte code is written now, as for Étalon itself; a few packages ship templates that are no Python and do not compile
    subprocess.run(
        [str(python), "-m", "compileall", "-q", "-j", "0", str(home / "lib")], stdout=subprocess.DEVNULL, check=False
    )
