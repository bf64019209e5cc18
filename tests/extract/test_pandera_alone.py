"""Contracts do without pandas, and whoever needs it still gets it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

_ASKED = """
import sys
from resources.contracts.entity import entities
assert len(entities()) > 10
print('pandas' in sys.modules)
import pandas
print(pandas.DataFrame({'a': [1]}).shape)
"""


@pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed: there is nothing to do without")
def test_contracts_are_there_without_pandas_which_can_be_imported_later() -> None:
    done = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "(1, 1)"]
