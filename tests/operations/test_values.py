"""Canonical values as text: what is written by a shorter way is what JSON writes and reads."""

from __future__ import annotations

import json

import pytest

from resources.operations.receipts import json_text, json_value


@pytest.mark.parametrize("value", [0, 7, -7, 10**30, True, False, None, 1.5, "7", "é", {"minor": 1, "starts_at": None}])
def test_a_value_is_the_text_of_json_and_comes_back(value: object) -> None:
    text = json_text(value)  # type: ignore[arg-type]
    assert text == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    back = json_value(text)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("text", ["", "007", "00", "٣", "1 2"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json_value(text)
