"""A cursor keeps its value through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.loading.cursor import Cursor


@given(st.sets(st.tuples(st.integers(0, 10**6), st.integers(0, 300))))
def test_a_cursor_survives_json(waiting):
    cursor = Cursor(3, 14, 15, 9, frozenset(waiting))
    assert Cursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor
