"""A reading killed at any step repeats work and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.connectors.files import FilesConnector
from resources.landing import ExtractLanding
from resources.operations import Operations
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores
from tests.feeds.support import connector, drop
from tests.feeds.test_pickup import HEAD, name


class Killed(BaseException):
    """Stands for a process that ends here: no handler of ours catches it."""


STEPS: dict[str, tuple[type, str, bool]] = {
    "before it is noted": (Operations, "begin_extract", True),
    "after it is noted": (Operations, "begin_extract", False),
    "before raw is landed": (ExtractLanding, "write_raw", True),
    "after raw is landed": (ExtractLanding, "write_raw", False),
    "before quarantine": (Operations, "add_quarantine", True),
    "after quarantine": (Operations, "add_quarantine", False),
    "before canonical files": (ExtractLanding, "write_canonical", True),
    "after canonical files": (ExtractLanding, "write_canonical", False),
    "before the manifest": (Operations, "finish_extract", True),
    "after the manifest": (Operations, "finish_extract", False),
    "before acknowledgements": (FilesConnector, "acknowledge", True),
    "after acknowledgements": (FilesConnector, "acknowledge", False),
}


def kill_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    owner, method, is_before = STEPS[step]
    original: Callable[..., Any] = getattr(owner, method)

    def dies(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_before:
            original(self, *args, **kwargs)
        raise Killed(step)

    monkeypatch.setattr(owner, method, dies)


def counts_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "drops"
    good = b"C1,S01,A,1,2026-05-01T10:00:00Z,cycle\n"
    drop(folder, name(1), HEAD + good + b"C1,S01,B,one,2026-05-01T10:00:00Z,cycle\n")
    drop(folder, name(2), HEAD + good.replace(b"A,1", b"C,2"))
    drop(folder, name(3), HEAD, marker={"rows": 7})
    return folder


def seen_state(stores: Stores, entity: str, system: str, stream: str) -> dict[str, object]:
    """What a reader of the stores can see, less the ids that differ from run to run."""
    return {
        "rows": stores.loadable_rows(entity),
        "quarantine": [(q.position, q.rule, q.status) for q in stores.operations.quarantined()],
        "cursor": stores.operations.cursor(system, stream),
        "receipts": [
            (r.name, r.outcome, r.landed_qty, r.quarantined_qty, r.acknowledged_at is not None)
            for r in stores.operations.file_receipts(system, stream)
        ],
        "complete": [
            (m.outcome, m.landed_qty) for m in stores.operations.manifests() if m.outcome != "failed" and m.landed_qty
        ],
        "canonical": len(list(stores.data_dir.glob("canonical/*/*"))),
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_file_feed_killed_at_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    folder = counts_folder(tmp_path)
    files = connector(folder, "stock_counts", system_code="counts")
    [stream] = files.streams()
    quiet = Stores.open(tmp_path / "quiet")
    quiet.extract(files, stream)
    expected = seen_state(quiet, "stock_count_line", "counts", "stock_counts")
    acknowledgements = {path.name: path.read_bytes() for path in (folder / "ack").iterdir()}
    for path in (folder / "ack").iterdir():
        path.unlink()

    stores = Stores.open(tmp_path / "killed")
    with monkeypatch.context() as patched:
        kill_at(patched, step)
        with pytest.raises(Killed):
            stores.extract(files, stream)
    again = Stores.open(tmp_path / "killed")
    again.extract(files, stream)
    # When it died after its transaction the work was done: the second reading finds nothing new and its cursor moves on.
    state = seen_state(again, "stock_count_line", "counts", "stock_counts")
    assert {**state, "cursor": None} == {**expected, "cursor": None}
    written = {path.name: path.read_bytes() for path in (folder / "ack").iterdir()}
    assert {name: len(data) for name, data in written.items()} == {n: len(d) for n, d in acknowledgements.items()}


@pytest.mark.parametrize("step", [step for step in STEPS if "acknowledgements" not in step])
def test_a_stream_with_a_cursor_killed_at_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    source = Source([Row(n, NOW - timedelta(hours=1)) for n in ("1", None, "2", "3")])
    quiet = Stores.open(tmp_path / "quiet")
    quiet.extract(source, ORDERS)
    expected = seen_state(quiet, "order_acknowledgement", "src", "acknowledgements")

    stores = Stores.open(tmp_path / "killed")
    with monkeypatch.context() as patched:
        kill_at(patched, step)
        with pytest.raises(Killed):
            stores.extract(source, ORDERS)
    assert stores.operations.cursor("src", "acknowledgements") == (NOW if step == "after the manifest" else None)
    again = Stores.open(tmp_path / "killed")
    if step != "after the manifest":
        assert again.loadable_rows("order_acknowledgement") == []
        assert again.operations.quarantined() == []
    again.extract(source, ORDERS, full=True)
    state = seen_state(again, "order_acknowledgement", "src", "acknowledgements")
    if step == "after the manifest":
        # Read twice in full: the first refusal is superseded by the same one, and both readings are there.
        assert state["rows"] == expected["rows"]
        assert state["cursor"] == expected["cursor"]
    else:
        assert state == expected
