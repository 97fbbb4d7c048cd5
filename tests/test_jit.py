"""Compiled code on disk: never that of another specialisation or of other sources."""

from __future__ import annotations

import numpy as np

from torch_hdrpatches import jit


def summed(values):
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def kept(function, folder):
    """A fresh dispatcher, as in a process that has just begun, whose code lies in ``folder``."""
    dispatcher = jit.compiled(function)
    dispatcher._cache._cache_file = jit._CodeFiles(folder, "summed")
    return dispatcher


def test_a_specialisation_is_compiled_once_and_found_by_another_process(tmp_path):
    first, second = kept(summed, tmp_path), kept(summed, tmp_path)
    assert first(np.arange(4)) == 6
    assert second(np.arange(4)) == 6
    assert sum(first.stats.cache_hits.values()) == 0
    assert sum(second.stats.cache_hits.values()) == 1


def test_specialisations_that_are_compiled_at_the_same_time_do_not_take_each_others_place(tmp_path):
    one, other = kept(summed, tmp_path), kept(summed, tmp_path)
    for dispatcher, values in ((one, np.arange(4)), (other, np.arange(4.0) / 2)):
        assert dispatcher(values) == values.sum()
    assert len(list(tmp_path.glob("*.nbc"))) == 2
    third = kept(summed, tmp_path)
    assert third(np.arange(4.0) / 2) == 3.0
    assert third(np.arange(4)) == 6
    assert sum(third.stats.cache_hits.values()) == 2


def test_code_of_other_sources_is_not_taken(tmp_path, monkeypatch):
    assert kept(summed, tmp_path)(np.arange(4)) == 6
    monkeypatch.setattr(jit, "package_digest", lambda: "other")
    again = kept(summed, tmp_path)
    assert again(np.arange(4)) == 6
    assert sum(again.stats.cache_hits.values()) == 0


def test_a_file_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    dispatcher = kept(summed, tmp_path / "missing" / "folder")
    dispatcher._cache._impl.locator.ensure_cache_path = lambda: None
    assert dispatcher(np.arange(4)) == 6
