"""A cursor keeps its value through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.loading.segments import Cursor

numbers = st.integers(0, 10**9)


@given(numbers, numbers, numbers, st.integers(1, 1000), numbers)
def test_a_cursor_survives_json(epoch, batches, start, parts, given):
    cursor = Cursor(epoch, batches, start, parts, given)
    assert Cursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor
