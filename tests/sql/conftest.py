"""Collects the given / expect cases below this folder; tests/spec_runner.py says how one is written."""

from tests.spec_runner import pytest_collect_file

__all__ = ["pytest_collect_file"]
