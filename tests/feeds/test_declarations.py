"""Feed declarations: a mistake is told with its place in the file and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.connectors.sdk.feed import load_feed, load_feeds
from resources.connectors.sdk.mapping import Mapper
from resources.errors import ConfigurationError
from tests.feeds.support import connector
from tests.feeds.test_csv import PLAIN


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("refusal_reason: c", "", "refusal_reason not mapped; write `refusal_reason: null`"),
        ("refusal_reason: c", "refusal_reason: d", "columns.refusal_reason: d is not a declared column"),
        ("refusal_reason: c", "refusal_reason: c, color: c", "color is not a column of this entity"),
        ("order_acknowledgement:", "acknowledgement:", "no such entity; there are carrier_scan"),
        ("key: [a]", "key: [z]", "key and control: z is not a declared column"),
        ("{a: {type: text}", "{a: {type: texte}", "columns.a"),
        ("key: [a]", "key: [a]\nkey: [b]", "key is there twice"),
        ("feed: plain", "feed: other", "declares the feed other"),
        ("reading: incremental", "reading: sometimes", "reading"),
        ("description:", "descripton:", "descripton"),
        (
            "columns: {channel_code: a",
            "rows: lines\n    columns: {channel_code: a",
            "neither root nor a declared child",
        ),
        ("acknowledged_at: null", "acknowledged_at: {sum: a}", "sum needs group_by"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in PLAIN
    path = tmp_path / "plain.yml"
    path.write_text(PLAIN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_feed(path)
    assert words in str(caught.value)
    assert "plain.yml" in str(caught.value)


def test_an_expression_that_does_not_work_is_told_before_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plain.yml"
    path.write_text(PLAIN.replace("refusal_reason: c", 'refusal_reason: {sql: "nothing + 1"}'))
    with pytest.raises(ConfigurationError, match="an expression does not work on the declared columns"):
        Mapper(load_feed(path), time_zone="UTC", tokeniser=None)


def test_two_feeds_of_a_system_may_not_claim_the_same_files(tmp_path: Path) -> None:
    for name in ("plain", "twin"):
        (tmp_path / f"{name}.yml").write_text(PLAIN.replace("feed: plain", f"feed: {name}"))
    feeds = load_feeds(tmp_path)
    with pytest.raises(ConfigurationError, match="both claim PLAIN_"):
        connector(tmp_path, *feeds.values())


@pytest.mark.parametrize("name", sorted(load_feeds()))
def test_every_feed_declares_the_grain_of_its_rows(name: str) -> None:
    assert "One row per" in load_feeds()[name].description
