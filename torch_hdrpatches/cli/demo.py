"""The demo's movie and recipe, made without any input."""

from __future__ import annotations

import os
from pathlib import Path

from ..testing.movie import MovieSpec, write_movie

MOVIE = MovieSpec(
    height=1080,
    width=1920,
    frames=504,
    cuts=(96, 190, 300, 410),
    bars=(138, 138, 0, 0),
    numbers=False,
    keyint=120,
    crf=20,
)
"""21 seconds of HDR10 with black bars (2.35:1) and cuts between keyframes."""

RECIPE = """\
# What the demo exports. Every key is explained in docs/recipe.md.
seed = 0

[sampling]
timestamps_per_movie = 32   # evenly spaced moments of the movie; 3000 is the default for a whole film

[shards]
runs = 2                    # runs of eight neighbouring slots per shard; 32 is the default

[categories.master]
formats = { small_540 = 0.6, medium_169 = 0.4 }

[categories.space]
target = 20                 # stop at this many samples
formats = { small_540 = 1.0 }

[[movies]]
path = "demo.mkv"
categories = { master = 1.0, space = 0.8 }
"""


def make_demo(folder: Path) -> Path:
    """Write ``recipe.toml``, and ``demo.mkv`` if it does not exist, into a folder; returns the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    movie, recipe = folder / "demo.mkv", folder / "recipe.toml"
    if not movie.exists():
        partial = movie.with_name(f"demo.partial-{os.getpid()}.mkv")  # another process may be writing the same movie
        write_movie(partial, MOVIE)
        partial.replace(movie)
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe
