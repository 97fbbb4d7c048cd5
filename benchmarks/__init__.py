"""Measures this package: ``speed`` against bare decoding and other libraries, ``stability`` on labelled windows."""

from collections.abc import Iterable
from typing import Any


def markdown_table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
