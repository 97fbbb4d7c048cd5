"""An export into a store that fails ends well or says why, and goes on; ``tests/helpers/store_faults.py`` tries all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.store_faults import FAULTS, OUTAGE, FaultyStore, Weather, rounds, tiny_recipe, undisturbed
from torch_hdrpatches.errors import StorageError
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.storage import remote
from torch_hdrpatches.storage.folder import Folder

DRAWN = 12
"""Rounds of each fault."""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(remote, "PAUSES", (0.0,) * len(remote.PAUSES))
    return tiny_recipe(tmp_path)


def test_whatever_call_of_a_store_fails_an_export_is_whole_when_it_is_done(recipe):
    wanted, every = undisturbed(recipe), rounds(recipe)
    ended = Counter[str]()
    for fault in FAULTS:
        of_fault = [one for one in every if one.fault == fault]
        for number in rng_at("store faults", fault).permutation(len(of_fault))[:DRAWN]:
            one = of_fault[number]
            if found := one.run(recipe, wanted):
                assert found[0] in ("done", "stopped"), f"{one}: {found[0]}"
                assert found[1] == "done", f"{one}: {found[1]}"
                ended[fault] += 1
                ended[found[0]] += 1
    assert all(ended[fault] for fault in FAULTS), f"not met: {ended}"
    assert ended["done"] > 10
    assert ended["stopped"] > 5


@pytest.mark.parametrize("fault", ["503", "403", "time-out", "lost answer"])
def test_a_store_that_does_not_answer_says_nothing_about_what_it_holds(monkeypatch, fault):
    monkeypatch.setattr(remote, "PAUSES", (0.0,) * len(remote.PAUSES))
    folder = Folder.of("faulty://bucket/answers")
    folder.write_json("a.json", {"b": 1})
    questions = {
        "exists": lambda: folder.exists("a.json"),
        "missing": lambda: not folder.exists("b.json"),
        "holds": lambda: folder.holds("a.json", 12),
        "names": lambda: folder.names("*.json") == ["a.json"],
        "read": lambda: folder.read_json("a.json") == {"b": 1},
        "bytes": lambda: folder.open("a.json").read() == b'{\n "b": 1\n}\n',
    }
    for what, answer in questions.items():
        for length in range(OUTAGE):
            monkeypatch.setattr(FaultyStore, "weather", Weather(fault, 0, length))
            assert answer(), f"{what}: {length} of {OUTAGE} attempts fail"
        monkeypatch.setattr(FaultyStore, "weather", Weather(fault, 0, OUTAGE))
        with pytest.raises(StorageError, match="run the same command again"):
            answer()
