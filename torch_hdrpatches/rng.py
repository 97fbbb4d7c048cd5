"""Random numbers that depend only on an address: the same address gives the same numbers in every process."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def _digest(address: tuple[str | int, ...]) -> bytes:
    # JSON tells ("a", 1) from ("a1",), and unlike hash() it is the same in every process.
    return hashlib.blake2b(json.dumps(address).encode(), digest_size=16).digest()


def rng_at(*address: str | int) -> np.random.Generator:
    """A generator (Philox) for one purpose, seeded by its address.

    ``rng_at("crop", seed, movie, epoch, slot, attempt, category)`` draws the position of this crop; other categories,
    slots and workers do not change it.
    """
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(address), "little")))


def uniform_at(*address: str | int) -> float:
    """One uniform number in [0, 1) that depends only on the address; faster than a generator."""
    return int.from_bytes(_digest(address)[:8], "little") / 2.0**64
