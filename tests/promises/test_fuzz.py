"""Damaged clips cost themselves and nothing else. ``tests/helpers/fuzz.py`` does the same 2,000 times."""

from __future__ import annotations

from tests.helpers.fuzz import fuzz


def test_a_hundred_damaged_clips_are_refused_or_read_and_never_crash(clips):
    found, _ = fuzz(clips, 100)
    assert found["refused"] > 5
    assert found["read"] > 5
