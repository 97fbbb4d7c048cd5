"""A cursor keeps its value through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.loading.cursor import Cursor

buckets = st.tuples(st.text(), st.text()) | st.tuples(st.text())


@given(st.dictionaries(buckets, st.integers(1, 300)), st.sets(st.integers(0, 10**6)))
def test_a_cursor_survives_json(waiting, items):
    cursor = Cursor(3, 14, 15, 9, waiting, tuple(sorted(items)))
    assert Cursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor
