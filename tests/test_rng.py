"""Random numbers depend only on their address."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.rng import rng_at, uniform_at

addresses = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 10**6)), min_size=1, max_size=5)


@given(addresses)
def test_an_address_gives_the_same_numbers_every_time(address):
    assert (rng_at(*address).integers(1 << 32, size=8) == rng_at(*address).integers(1 << 32, size=8)).all()
    assert uniform_at(*address) == uniform_at(*address)


@given(addresses, addresses)
def test_different_addresses_give_different_numbers(first, second):
    if first != second:
        assert rng_at(*first).integers(1 << 62) != rng_at(*second).integers(1 << 62)


def test_the_parts_of_an_address_and_their_types_count():
    assert uniform_at("ab", "c") != uniform_at("a", "bc")
    assert uniform_at("a", 1) != uniform_at("a", "1")


def test_the_numbers_are_the_same_in_processes_with_another_hash_seed():
    code = "from torch_hdrpatches.rng import rng_at; print(rng_at('crop', 7, 'dune', 3).integers(1 << 40))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {f"{rng_at('crop', 7, 'dune', 3).integers(1 << 40)}\n"}


def test_the_state_of_numpys_global_generator_does_not_count():
    np.random.seed(0)
    before = uniform_at("x"), rng_at("x").random()
    np.random.seed(1)
    assert (uniform_at("x"), rng_at("x").random()) == before


def test_uniform_numbers_are_uniform():
    numbers = np.array([uniform_at("even", n) for n in range(20000)])
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-square, 19 degrees of freedom, p = 0.0007
