"""Whether what the ranks of a training program noted is what was promised."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

from .data import SAMPLES
from .scenarios import AFTER_BREAK, AT_ITS_END, BROKEN_OFF, EPOCHS, IN_MID_EPOCH, LIMIT, WHOLE


def faults(told: dict[str, list[list[Any]]], per_epoch: int) -> dict[str, list[str]]:
    """For every training that was made, what is wrong with it; nothing if all is as it should be."""
    whole = told[WHOLE]
    parts = [[rank[per_epoch * epoch :][:per_epoch] for epoch in range(EPOCHS)] for rank in whole]
    expected = {
        BROKEN_OFF: [list(chain(*(part[:LIMIT] for part in rank))) for rank in parts],
        IN_MID_EPOCH: [rank[per_epoch * 3 // 2 :] for rank in whole],
        AT_ITS_END: [rank[per_epoch * 2 :] for rank in whole],
        AFTER_BREAK: [list(chain(*(part[:LIMIT] for part in rank[1:]))) for rank in parts],
    }
    found = {WHOLE: _faults_of_whole(parts, [len(rank) for rank in whole], per_epoch)}
    for name, ranks in told.items():
        if name in expected:
            pairs = enumerate(zip(ranks, expected[name], strict=True))
            found[name] = [
                f"rank {rank}: {_epochs(batches)} instead of {_epochs(right)}"
                for rank, (batches, right) in pairs
                if batches != right
            ]
    return found


def _faults_of_whole(parts: list[list[list[Any]]], lengths: list[int], per_epoch: int) -> list[str]:
    found = [f"rank {r} gave {n} batches" for r, n in enumerate(lengths) if n != EPOCHS * per_epoch]
    looks: Counter[tuple[str, str]] = Counter()
    for epoch in range(EPOCHS):
        samples = list(chain(*chain(*(rank[epoch] for rank in parts))))
        if (epochs := {sample[0] for sample in samples}) != {epoch}:
            found.append(f"epoch {epoch} gave samples of epochs {sorted(epochs)}")
        places = Counter(place for _, place, *_ in samples)
        if len(places) != SAMPLES or len(samples) != SAMPLES:
            found.append(f"epoch {epoch} gave {len(samples)} samples of {len(places)} slots, expected {SAMPLES}")
        looks.update((place, gt) for _, place, gt, _ in samples)
    if repeated := sum(count > 1 for count in looks.values()):
        found.append(f"{repeated} samples look the same in two epochs")
    return found


def _epochs(batches: list[Any]) -> str:
    """How many batches of which epochs: "8 of epoch 1, 16 of epoch 2"."""
    counts = Counter(sample[0] for batch in batches for sample in batch[:1])
    return ", ".join(f"{count} of epoch {epoch}" for epoch, count in sorted(counts.items())) or "none"
