"""The servers that other tests rely on."""

from __future__ import annotations

import sqlalchemy as sa

from resources.settings import sqlalchemy_postgres_url
from tests.postgres_server import PostgresServer


def test_each_test_has_a_database_of_its_own(postgres: PostgresServer) -> None:
    first, second = postgres.new_database(), postgres.new_database()
    assert first != second
    engine = sa.create_engine(sqlalchemy_postgres_url(first))
    with engine.begin() as connection:
        assert connection.scalar(sa.text("select 1")) == 1
    engine.dispose()


def test_the_server_listens_on_loopback_only(postgres_url: str) -> None:
    engine = sa.create_engine(sqlalchemy_postgres_url(postgres_url))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("show listen_addresses")) == "127.0.0.1"
    engine.dispose()
