"""Exports a recipe into shards, by any number of processes, so that an export that was killed can be resumed.

``export``    from a recipe to a finished folder, at once or in parts for job arrays
``job``       one job: some runs of an epoch, exported into shards in the work folder
``commit``    finished jobs in order: cuts at targets, final names, sidecars
``lock``      one export at a time in a folder, and always the same export
``processes`` executors on this machine: serial, or a pool of processes
``ray``       the executor for Ray clusters
``retries``   the loop of both executors, which tries items again after a worker died
``verify``    every file, record and count of an exported folder checked
``repair``    damaged shards exported again
``unpack``    exported shards as the folders or LMDBs that other trainers read
``progress``  rate and remaining time, for watchers and as JSON lines
``display``   the same as bars at a terminal, in a notebook, or as lines of a log
"""

from .export import Part, export, export_part, finish_parts
from .processes import processes, serial
from .progress import Progress, watching
from .ray import on_ray
from .repair import repair
from .unpack import unpack
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
    "unpack",
    "verify",
    "watching",
]
