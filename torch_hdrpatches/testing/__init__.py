"""Writes small HDR10, HLG and SDR movies whose frames show their number: for tests, examples and the demo.

``movie``   ``write_movie(path, MovieSpec(...))``: format, structure and encoding
``signal``  light to code values; frame numbers, drawn and read back
``scene``   the painted scenes
"""

from .movie import HDR10, HLG, SCENES, SDR, Content, MovieSpec, write_movie
from .signal import read_number

__all__ = ["HDR10", "HLG", "SCENES", "SDR", "Content", "MovieSpec", "read_number", "write_movie"]
