"""On what a benchmark ran: machine and versions, kept beside every figure. Nothing is measured here."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The project's folder."""
COMMIT = "étalon"
"""Among the versions, the name of the commit that was measured."""
_PACKAGES = ("duckdb", "polars", "pyarrow", "pandera", "msgspec", "lxml", "sqlglot", "dagster", "sqlalchemy")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system, in words."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
    }


def versions() -> dict[str, str]:
    """Of Python, of the packages that do the work, and the commit that was measured ("+" when files differ from it)."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return {**found, COMMIT: _commit()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    pages, page_size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * page_size / (1 << 30):.0f} GiB"


def _commit() -> str:
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "not a git checkout"
    return told.stdout.strip()
