"""The commands of ``hdrpatches``.

``app``     export, tally, verify, demo: commands that write and check shards
``look``    init, probe, plan, preview, reproduce, split, convert, bench: commands that look
``display`` tables and live progress in the terminal
``demo``    the demo's movie and recipe
"""

from .app import app, main

__all__ = ["app", "main"]
