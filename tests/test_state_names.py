"""Objects with different settings have different names, equal ones the same in every process, and known names stay."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.errors import ExportError, StateError
from torch_hdrpatches.state_names import state_name
from torch_hdrpatches.transforms import BD, BI, Chain, Compose, Flip, Rotate, second_order


class Plain:
    """No ``__repr__``; keeps whatever it is given."""

    def __init__(self, *settings: Any) -> None:
        self.settings = settings

    def __call__(self, *arguments: Any) -> Any:
        return arguments[0]

    def method(self, *arguments: Any) -> Any:
        return arguments[0]


class Slotted:
    """No ``__repr__`` and no ``__dict__``."""

    __slots__ = ("strength",)

    def __init__(self, strength: float) -> None:
        self.strength = strength


class Spoken:
    """Its author says what matters."""

    def __init__(self, strength: float, cache: object = None) -> None:
        self.strength, self.cache = strength, cache

    def __call__(self, *arguments: Any) -> Any:
        return arguments[0]

    def __repr__(self) -> str:
        return f"Spoken({self.strength})"


@dataclass(frozen=True)
class Step:
    """A dataclass, which shows its fields."""

    inner: Any
    cache: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Weighted:
    """A dataclass, which hides a field that counts."""

    weights: Any = field(default=None, repr=False)


class Network(torch.nn.Module):
    """Its repr leaves out its weights."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        torch.nn.init.constant_(self.layer.weight, weight)
        torch.nn.init.zeros_(self.layer.bias)


def plain(sample: Any, rng: Any = None) -> Any:
    return sample


def strengthened(sample: Any, rng: Any, strength: float = 1.0) -> Any:
    return sample


def closure(strength: Any) -> Any:
    def inner(sample: Any, rng: Any) -> Any:
        return strength, inner

    return inner


def local_class(strength: float) -> Any:
    class Inner:
        def __call__(self, sample: Any, rng: Any) -> Any:
            return super().__hash__(), strength

        @property
        def doubled(self) -> float:
            return 2 * strength

    return Inner()


def wrapped(strength: float) -> Any:
    @functools.wraps(plain)
    def inner(sample: Any, rng: Any) -> Any:
        return strength

    return inner


def circle(strength: float) -> Plain:
    made = Plain(strength)
    made.settings = (made, [made], strength)
    return made


def spectrum(last: float) -> np.ndarray:
    return np.append(np.linspace(0, 1, 2000), [last, 1.0])


DIFFERENT = {
    "attribute": (lambda: Plain(1), lambda: Plain(2)),
    "type of an attribute": (lambda: Plain(1), lambda: Plain("1")),
    "slot": (lambda: Slotted(1.0), lambda: Slotted(2.0)),
    "nested": (lambda: Plain([{"a": Plain(0.5)}]), lambda: Plain([{"a": Plain(0.6)}])),
    "set": (lambda: Plain({"cut", "fade", "flash"}), lambda: Plain({"cut", "fade"})),
    "array": (lambda: Plain(spectrum(0.5)), lambda: Plain(spectrum(0.5 + 1e-12))),
    "tensor": (lambda: Plain(torch.tensor(1.0)), lambda: Plain(torch.tensor(1.0 + 1e-7))),
    "type of a tensor": (lambda: Plain(torch.zeros(2)), lambda: Plain(torch.zeros(2, dtype=torch.int32))),
    "generator": (lambda: Plain(np.random.default_rng(1)), lambda: Plain(np.random.default_rng(2))),
    "partial": (
        lambda: functools.partial(strengthened, strength=1.0),
        lambda: functools.partial(strengthened, strength=2.0),
    ),
    "partial of an object": (lambda: functools.partial(Plain(1), 0), lambda: functools.partial(Plain(2), 0)),
    "closure": (lambda: closure(1), lambda: closure(2)),
    "closure over an object": (lambda: closure(Plain(1)), lambda: closure(Plain(2))),
    "default of a lambda": (lambda: (lambda k: lambda s, rng, k=k: k)(1), lambda: (lambda k: lambda s, rng, k=k: k)(2)),
    "lambdas of one function": (lambda: lambda s: s > 0.5, lambda: lambda s: s > 0.7),
    "wrapped": (lambda: wrapped(1), lambda: wrapped(2)),
    "bound method": (lambda: Plain(1).method, lambda: Plain(2).method),
    "bound method of a built-in": (lambda: BD(1.0).__call__, lambda: BD(2.0).__call__),
    "method of a dict": (lambda: {"a": 1}.get, lambda: {"b": 1}.get),
    "local class": (lambda: local_class(1), lambda: local_class(2)),
    "circle": (lambda: circle(1), lambda: circle(2)),
    "object in a built-in": (lambda: Chain(before=(Plain(1),)), lambda: Chain(before=(Plain(2),))),
    "array in a dataclass": (lambda: Step(spectrum(0.5)), lambda: Step(spectrum(0.6))),
    "hidden field of a dataclass": (lambda: Weighted(1), lambda: Weighted(2)),
    "network": (lambda: Network(0.5), lambda: Network(0.6)),
    "network in evaluation": (lambda: Network(0.5), lambda: Network(0.5).eval()),
}


def names() -> list[list[str]]:
    return [[state_name(make()) for make in pair] for pair in DIFFERENT.values()]


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_different_settings_have_different_names_and_equal_ones_the_same(pair):
    one, other = pair
    assert state_name(one()) != state_name(other())
    assert state_name(one()) == state_name(one())
    assert " at 0x" not in state_name(one())


def test_names_are_the_same_in_every_process():
    for seed in ("1", "2"):
        code = "import json; from tests.test_state_names import names; print(json.dumps(names()))"
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}
        )
        assert json.loads(done.stdout) == names()


def test_the_order_in_which_a_dict_was_filled_does_not_count():
    assert state_name(Plain({"a": 1, "b": 2})) == state_name(Plain({"b": 2, "a": 1}))


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (None, "None"),
        ("sdr", "sdr"),
        (BI(), "BI()"),
        (BD(2.0), "BD(sigma=2.0)"),
        (Compose((Flip(), Rotate())), repr(Compose((Flip(), Rotate())))),
        (second_order(), repr(second_order())),
        (max, "builtins.max"),
        (plain, "tests.test_state_names.plain"),
        (BI, "torch_hdrpatches.degrade.BI"),
        (Plain.method, "tests.test_state_names.Plain.method"),
        (Spoken(1.0, cache=threading.Lock()), "Spoken(1.0)"),
        (Step(1, cache=threading.Lock()), "Step(inner=1)"),
        (Step(plain), "Step(inner=<function plain>)"),
        (functools.partial(plain, 2.0), "functools.partial(<function plain>, 2.0)"),
        (object(), "<object object>"),
    ],
)
def test_names_that_told_everything_stay(choice, name):
    assert state_name(choice) == name


@pytest.mark.parametrize("state", [threading.Lock(), (n for n in ())], ids=["lock", "generator"])
def test_an_object_whose_state_nothing_tells_is_refused_with_a_remedy(small, state):
    with pytest.raises(TypeError, match=r"Plain: nothing tells two such objects apart .*give its class a `__repr__`"):
        HDRPatchDataset(small, transform=Plain(state))


@pytest.mark.parametrize("option", ["transform", "accept", "degrade", "curve"])
def test_every_option_counts_with_its_settings(small, option):
    one, other, again = (HDRPatchDataset(small, **{option: Plain(value)}).fingerprint() for value in (1, 2, 1))
    assert one == again
    assert {key for key in one if one[key] != other[key]} == {option}


def test_an_export_is_not_continued_and_a_loader_not_resumed_with_other_settings(small, tmp_path):
    export(small, tmp_path / "out", transform=Plain(1), limit=2)
    export(small, tmp_path / "out", transform=Plain(1), limit=2)
    with pytest.raises(ExportError, match="transform"):
        export(small, tmp_path / "out", transform=Plain(2), limit=2)
    state = PatchLoader(HDRPatchDataset(small, transform=Plain(1)), 2).state_dict()
    with pytest.raises(StateError, match="transform"):
        PatchLoader(HDRPatchDataset(small, transform=Plain(2)), 2).load_state_dict(state)
    PatchLoader(HDRPatchDataset(small, transform=Plain(1)), 2).load_state_dict(state)


def test_the_choice_of_stored_samples_counts_with_its_settings(small, tmp_path):
    export(small, tmp_path / "out", limit=2)
    names = [read_shards(tmp_path / "out", where=Plain(n), transform=Plain(n)).fingerprint() for n in (1, 2, 1)]
    assert names[0] == names[2]
    assert {key for key in names[0] if names[0][key] != names[1][key]} == {"where", "transform"}


def test_a_cache_that_a_transform_fills_does_not_change_the_stream(small):
    transform = Plain()
    dataset = HDRPatchDataset(small, transform=transform)
    before = dataset.fingerprint()
    transform.cache = {"kernel": 1}
    assert dataset.fingerprint() == before
