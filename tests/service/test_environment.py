"""What the processes of the service are started with."""

from __future__ import annotations

from pathlib import Path

from orchestration.service.programs import Ports
from orchestration.up import children_environment
from resources.settings import Settings


def test_an_address_that_stands_in_a_file_is_one_for_the_processes_too(tmp_path: Path) -> None:
    """Given the database's address and the report's in files, expect processes that start, and use both."""
    (tmp_path / "database").write_text("postgresql://etalon:secret@db.example/etalon\n", encoding="utf-8")
    (tmp_path / "report").write_text("https://etalon.example.com/report", encoding="utf-8")
    (tmp_path / ".env").write_text("ETALON_REPORT_URL_FILE=report\n", encoding="utf-8")
    environ = {"ETALON_POSTGRES_URL_FILE": str(tmp_path / "database")}
    settings = Settings.from_environment(environ, tmp_path)
    assert settings.postgres_url is not None
    children = children_environment(environ, settings, Ports.from_first(3000), postgres_url=settings.postgres_url)
    found = Settings.from_environment(children, tmp_path)
    assert (found.postgres_url, found.report_url) == (settings.postgres_url, "https://etalon.example.com/report")
    assert found.is_service
