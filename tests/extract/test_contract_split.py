"""The compiled contract refuses exactly what pandera's lazy validation refuses, and says why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.contracts.entity import Entity, entities
from resources.contracts.validation import pandera_failures, split_by_contract
from resources.errors import ContractBroken

GOOD_AT = datetime(2026, 5, 1, tzinfo=UTC)
INSTANTS = st.sampled_from([None, GOOD_AT, datetime(1999, 12, 31, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)])
TEXTS = st.sampled_from([None, "", "EUR", "euro", "FR", "sale", "ship", "cycle", "order", "f" * 64, "é", "web"])
NUMBERS = st.sampled_from([None, -1, 0, 1, 10_000, 10_001, 2**40])
FLAGS = st.sampled_from([None, True, False])


def values(dtype: Any) -> st.SearchStrategy[Any]:
    if dtype == pl.String:
        return TEXTS
    if dtype == pl.Int64:
        return NUMBERS
    return FLAGS if dtype == pl.Boolean else INSTANTS


@st.composite
def frames(draw: st.DrawFn) -> tuple[Entity, pl.DataFrame]:
    entity = entities()[draw(st.sampled_from(sorted(entities())))]
    size = draw(st.integers(0, 6))
    data = {
        name: draw(st.lists(values(dtype), min_size=size, max_size=size))
        for name, dtype in entity.polars_schema.items()
    }
    return entity, pl.DataFrame(data, schema=entity.polars_schema)


@settings(max_examples=120, deadline=None)
@given(frames())
def test_the_compiled_contract_is_panderas(case: tuple[Entity, pl.DataFrame]) -> None:
    entity, frame = case
    split = split_by_contract(entity, frame)
    by_rule = {row.row for row in split.refused if row.rule != "unique"}
    assert by_rule == set(pandera_failures(entity, frame))
    # What is left satisfies pandera as a whole, uniqueness included, and nothing is lost.
    entity.schema.validate(split.good, lazy=True)
    assert split.good.height + len(split.refused) == frame.height
    keys = ["system_code", *entity.keys]
    for row in split.refused:
        if row.rule == "unique":
            key = frame.select(keys).row(row.row)
            assert key in split.good.select(keys).rows()


def movements(**changes: Any) -> pl.DataFrame:
    row = {
        "system_code": "erp", "extract_id": "x", "observed_at": GOOD_AT, "source_position": "f:1", "movement_external_id": "M1",
        "location_code": "WH1", "product_external_id": "A", "kind": "sale", "quantity": -1, "occurred_at": GOOD_AT,
    }  # fmt: skip
    columns = {name: changes.get(name, [value]) for name, value in row.items()}
    size = max(len(column) for column in columns.values())
    full = {name: column * size if len(column) == 1 else column for name, column in columns.items()}
    return pl.DataFrame(full, schema=entities()["stock_movement"].polars_schema)


def test_a_refusal_tells_every_rule_with_its_value() -> None:
    frame = movements(kind=["theft"], quantity=[None])
    [row] = split_by_contract(entities()["stock_movement"], frame).refused
    assert (row.row, row.position, row.rule, row.column) == (0, "f:1", "known_value", "kind")
    assert "kind is theft: one of opening" in row.reason
    assert "quantity is empty: not null" in row.reason


def test_of_rows_with_one_key_the_first_good_one_is_kept() -> None:
    frame = movements(movement_external_id=["M1", "M1", "M1", "M2"], quantity=[None, 2, 3, 4])
    split = split_by_contract(entities()["stock_movement"], frame)
    assert split.good["quantity"].to_list() == [2, 4]
    assert [(row.row, row.rule) for row in split.refused] == [(0, "not_null"), (2, "unique")]


def test_readings_of_their_own_may_hold_the_same_key() -> None:
    frame = movements(movement_external_id=["M1", "M1"], source_position=["a:1", "b:1"])
    within = pl.col("source_position").str.split(":").list.first()
    assert split_by_contract(entities()["stock_movement"], frame, unique_within=within).refused == ()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (movements().drop("kind"), "missing columns: kind"),
        (movements().with_columns(pl.lit(1).alias("color")), "unknown columns: color"),
        (movements().with_columns(pl.col("quantity").cast(pl.String)), "quantity is String instead of Int64"),
        (movements().select(sorted(movements().columns)), "columns out of order"),
    ],
)
def test_another_shape_is_a_failure_of_the_batch(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(ContractBroken, match=words):
        split_by_contract(entities()["stock_movement"], frame)
