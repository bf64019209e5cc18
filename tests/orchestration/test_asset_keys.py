"""The project's own graph: it loads whole, and its assets and checks are those of asset_keys.txt.

A change of the graph shows as a change of that file: `python -m tests.orchestration.test_asset_keys` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.runtime import build_runtime
from orchestration.definitions import build_definitions
from resources.settings import Settings
from tests.retailer.declared import VARIABLES

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).parent / "asset_keys.txt"


def project_definitions() -> dg.Definitions:
    """The definitions of the project's own retailer.yaml; nothing they name has to exist."""
    environ = {**VARIABLES, "ETALON_SECRET_KEY": "00" * 32, "ETALON_DATA_DIR": "/nonexistent/data"}
    return build_definitions(build_runtime(Settings.from_environment(environ, ROOT)))


def lines_of(definitions: dg.Definitions) -> list[str]:
    """One line per asset, with its checks; `!` marks those that block."""
    checks: dict[dg.AssetKey, list[str]] = {}
    for assets in definitions.assets or ():
        if isinstance(assets, dg.AssetsDefinition):
            for spec in assets.check_specs:
                checks.setdefault(spec.asset_key, []).append(f"{spec.name}{'!' if spec.blocking else ''}")
    keys = definitions.resolve_asset_graph().executable_asset_keys
    return [f"{key.to_user_string()}: {' '.join(sorted(checks.get(key, ())))}".rstrip(": ") for key in sorted(keys)]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return project_definitions()


def test_it_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_graph_is_the_one_we_know(definitions: dg.Definitions) -> None:
    assert lines_of(definitions) == SNAPSHOT.read_text(encoding="utf-8").splitlines(), (
        "if the change is meant: python -m tests.orchestration.test_asset_keys"
    )


def test_every_dependency_is_an_asset(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    # What the fast lane's worker tells, outside of any run, is in the graph and is no step's.
    told = {key for key in graph.get_all_asset_keys() if key.path[-1] == "fast_lane"}
    assert graph.get_all_asset_keys() - told == graph.executable_asset_keys


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(lines_of(project_definitions())) + "\n", encoding="utf-8")
