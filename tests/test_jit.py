"""Machine code cached on disk is never used for another specialisation or for changed source code."""

from __future__ import annotations

import numpy as np
import pytest

from torch_hdrpatches import jit


def summed(values):
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def compiled_in(folder):
    """``summed`` as a new process would compile it, with its cache in ``folder``."""
    dispatcher = jit.compiled(summed)
    dispatcher._cache._cache_file = jit._CodeFiles(folder, "summed")
    return dispatcher


def test_a_specialisation_is_compiled_once_and_loaded_by_another_process(tmp_path):
    first, second = compiled_in(tmp_path), compiled_in(tmp_path)
    assert first(np.arange(4)) == 6
    assert second(np.arange(4)) == 6
    assert sum(first.stats.cache_hits.values()) == 0
    assert sum(second.stats.cache_hits.values()) == 1


def test_specialisations_compiled_at_the_same_time_do_not_replace_each_other(tmp_path):
    first, second = compiled_in(tmp_path), compiled_in(tmp_path)
    for dispatcher, values in ((first, np.arange(4)), (second, np.arange(4.0) / 2)):
        assert dispatcher(values) == values.sum()
    assert len(list(tmp_path.glob("*.nbc"))) == 2
    third = compiled_in(tmp_path)
    assert third(np.arange(4.0) / 2) == 3.0
    assert third(np.arange(4)) == 6
    assert sum(third.stats.cache_hits.values()) == 2


def test_code_of_changed_sources_is_not_used(tmp_path, monkeypatch):
    assert compiled_in(tmp_path)(np.arange(4)) == 6
    monkeypatch.setattr(jit, "package_digest", lambda: "other")
    again = compiled_in(tmp_path)
    assert again(np.arange(4)) == 6
    assert sum(again.stats.cache_hits.values()) == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda code: b"",
        lambda code: bytes(len(code)),
        lambda code: code[:-9],
        lambda code: b"cos\nsystem\n(S'false'\ntR.",
    ],
    ids=["empty", "zeros", "truncated", "foreign"],
)
def test_code_damaged_by_a_power_cut_is_compiled_again(tmp_path, damage):
    assert compiled_in(tmp_path)(np.arange(4)) == 6
    (file,) = tmp_path.glob("*.nbc")
    file.write_bytes(damage(file.read_bytes()))
    again, third = compiled_in(tmp_path), compiled_in(tmp_path)
    assert again(np.arange(4)) == third(np.arange(4)) == 6
    assert sum(again.stats.cache_hits.values()) == 0
    assert sum(third.stats.cache_hits.values()) == 1


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path):
    (tmp_path / "file").touch()
    assert compiled_in(tmp_path / "file" / "folder")(np.arange(4)) == 6
