"""Given an environment, expect settings; a value that cannot be understood is told by its variable's name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.settings import Settings


def test_defaults_lie_in_the_project(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, tmp_path)
    assert settings.retailer_path == tmp_path / "retailer.yaml"
    assert settings.warehouse_path == tmp_path / "data" / "warehouse.duckdb"
    assert settings.operations_url == f"sqlite:///{tmp_path}/data/operations.sqlite"
    assert settings.clock()().tzinfo is UTC


def test_one_setting_moves_operations_to_postgres(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ETALON_POSTGRES_URL": "postgres://u:hush@h:5432/d"}, tmp_path)
    assert settings.operations_url == "postgresql+psycopg2://u:hush@h:5432/d"
    assert "hush" not in repr(settings)


def test_the_clock_can_be_held(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ETALON_NOW": "2026-05-18T12:00:00+02:00"}, tmp_path)
    assert settings.clock()() == datetime(2026, 5, 18, 10, tzinfo=UTC)


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# shops\nexport A='one'\nB=two=2\n\n")
    settings = Settings.from_environment({"B": "three"}, tmp_path)
    assert settings.variables == {"A": "one", "B": "three"}


def test_links_to_the_report_lead_where_the_ui_serves_it_or_to_its_proxy(tmp_path: Path) -> None:
    assert Settings.from_environment({}, tmp_path).report_url == "http://127.0.0.1:3001"
    behind = Settings.from_environment({"ETALON_REPORT_URL": "https://bi.example/etalon/"}, tmp_path)
    assert behind.report_url == "https://bi.example/etalon"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ETALON_NOW": "yesterday"}, "ETALON_NOW must be an instant like"),
        ({"ETALON_NOW": "2026-05-18T10:00:00"}, "ETALON_NOW must be an instant with its zone"),
        ({"ETALON_ENGINE": "flink"}, "ETALON_ENGINE must be one of duckdb, spark, got 'flink'"),
        ({"ETALON_ENGINE": "spark"}, "ETALON_SPARK_REMOTE must be the address of a Spark Connect endpoint"),
        ({"ETALON_SPARK_REMOTE": "spark://h:7077"}, "ETALON_SPARK_REMOTE must be an address like sc://"),
        ({"ETALON_THREADS": "0"}, "ETALON_THREADS must be a whole number from 1, got '0'"),
        ({"ETALON_THREADS": "many"}, "ETALON_THREADS must be a whole number from 1"),
        ({"ETALON_POSTGRES_URL": "mysql://h/d"}, "ETALON_POSTGRES_URL must be an address like postgresql://"),
        ({"ETALON_REPORT_URL": "file:///data"}, "ETALON_REPORT_URL must be an address like http://127.0.0.1:3001"),
        ({"ETALON_ENV_FILE": "none.env"}, "ETALON_ENV_FILE must be a file that exists"),
    ],
)
def test_a_wrong_value_is_told(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Settings.from_environment(environ, tmp_path)


def test_models_are_built_here_unless_a_cluster_is_named(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, tmp_path)
    assert (settings.engine, settings.spark_folder) == ("duckdb", tmp_path / "data" / "spark")
    there = settings.with_engine("spark", "sc://spark.example.org:15002/;token=secret")
    assert (there.engine, there.spark_folder_there) == ("spark", str(tmp_path / "data" / "spark"))
    assert "secret" not in repr(there)
    with pytest.raises(ConfigurationError, match="ETALON_SPARK_REMOTE must be the address"):
        settings.with_engine("spark", None)


def test_the_clusters_workers_may_call_the_folder_otherwise(tmp_path: Path) -> None:
    environ = {
        "ETALON_ENGINE": "spark",
        "ETALON_SPARK_REMOTE": "sc://spark.example.org",
        "ETALON_SPARK_FOLDER": "/mnt/lake/etalon",
        "ETALON_SPARK_FOLDER_THERE": "s3a://lake/etalon/",
    }
    settings = Settings.from_environment(environ, tmp_path)
    assert (settings.spark_folder, settings.spark_folder_there) == (Path("/mnt/lake/etalon"), "s3a://lake/etalon")
    assert settings.with_engine("duckdb", None).engine == "duckdb"
    with pytest.raises(ConfigurationError, match="add --engine spark"):
        settings.with_engine("duckdb", "sc://other.example.org")


def test_a_line_of_the_env_file_that_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nnonsense\n")
    with pytest.raises(ConfigurationError, match=r"line 2: this line is not NAME=value"):
        Settings.from_environment({}, tmp_path)


def test_the_secret_is_asked_for_when_it_is_needed(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, tmp_path)
    with pytest.raises(ConfigurationError, match="ETALON_SECRET_KEY is not set"):
        _ = settings.secret_key


def test_a_short_secret_is_refused_without_showing_it(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ETALON_SECRET_KEY": "hush!"}, tmp_path)
    with pytest.raises(ConfigurationError, match="at least 32 bytes") as caught:
        _ = settings.secret_key
    assert "hush" not in str(caught.value)


def test_a_secret_is_hex_base64_or_text(tmp_path: Path) -> None:
    for text in ("00" * 32, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="):
        assert Settings.from_environment({"ETALON_SECRET_KEY": text}, tmp_path).secret_key == bytes(32)
    phrase = "a phrase of more than thirty-two characters"
    assert Settings.from_environment({"ETALON_SECRET_KEY": phrase}, tmp_path).secret_key == phrase.encode()


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """As vaults and containers hand them out: with a line's end that is no part of it, and for names of retailer.yaml too."""
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    (tmp_path / "shop").write_text("  ck_1 \n")
    settings = Settings.from_environment(
        {"ETALON_SECRET_KEY_FILE": str(tmp_path / "key"), "ETALON_SHOP_FR_KEY_FILE": "shop"}, tmp_path
    )
    assert settings.secret_key == bytes([0xAB] * 32)
    assert settings.variables["ETALON_SHOP_FR_KEY"] == "ck_1"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"ETALON_SECRET_KEY_FILE": "nowhere"}, "ETALON_SECRET_KEY_FILE must be a text file"),
        ({"ETALON_SECRET_KEY_FILE": "."}, "ETALON_SECRET_KEY_FILE must be a text file"),
        ({"ETALON_SECRET_KEY_FILE": "key", "ETALON_SECRET_KEY": "cd" * 32}, "both set"),
    ],
)
def test_a_secret_file_that_cannot_be_believed_is_refused(environ: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32)
    with pytest.raises(ConfigurationError, match=told) as error:
        Settings.from_environment(environ, tmp_path)
    assert "ab" * 32 not in str(error.value)
    assert "cd" * 32 not in str(error.value)
