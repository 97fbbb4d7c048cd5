"""Random numbers with an address instead of a history: the same address gives the same numbers, anywhere, ever."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def _digest(address: tuple[str | int, ...]) -> bytes:
    # JSON keeps ("a", 1) and ("a1",) apart, and is the same on every machine, unlike hash().
    return hashlib.blake2b(json.dumps(address).encode(), digest_size=16).digest()


def rng_at(*address: str | int) -> np.random.Generator:
    """A counter-based generator (Philox) for one purpose at one place.

    Example:
        ``rng_at("crop", seed, movie, epoch, slot, attempt, category)`` draws this crop and no other;
        another category, slot or worker changes nothing about it.
    """
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(address), "little")))


def uniform_at(*address: str | int) -> float:
    """One number in [0, 1) at an address, without the cost of a generator."""
    return int.from_bytes(_digest(address)[:8], "little") / 2.0**64
