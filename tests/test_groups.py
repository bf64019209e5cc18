"""What spares the suite from making the same run twice: tests of one group go to one process."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_is_part_of_the_names_that_are_shared_out(request: pytest.FixtureRequest) -> None:
    """pytest-xdist shares tests out by name, and puts the group at its end; a pytest that takes no such name scatters them silently."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only where tests are shared out among processes: --dist loadgroup")
    assert request.node.nodeid.endswith("@together")
