"""The commands of ``hdrpatches``.

``app``      the program: commands, errors, exit codes
``recipes``  commands before an export: init, probe, plan, preview, split, audit, convert, bench
``exports``  commands that write or read shards: demo, export, unpack, tally, verify, reproduce
``output``   what commands print: tables, units, the live progress of an export
"""

from .app import app, main

__all__ = ["app", "main"]
