"""Shards that survive crashes: jobs made by any engine, committed in order.

``export``    ``export``: from a recipe to a finished folder
``parts``     the same by job arrays: every n-th job, then put together
``job``       one job: runs of slots to shards that wait in ``.work``
``commit``    finished jobs in order: targets, sidecars
``lock``      one export at a time in a folder, and always the same one
``processes`` engines on this machine: serial, or a pool of processes
``ray``       the same on a Ray cluster
``verify``    every file, record and count of an exported folder checked
``repair``    bad shards made again
``progress``  how far an export is, for watchers and as JSON lines
"""

from .export import export
from .parts import Part, export_part, finish_parts
from .processes import processes, serial
from .progress import Progress, watching
from .ray import on_ray
from .repair import repair
from .verify import verify

__all__ = [
    "Part",
    "Progress",
    "export",
    "export_part",
    "finish_parts",
    "on_ray",
    "processes",
    "repair",
    "serial",
    "verify",
    "watching",
]
