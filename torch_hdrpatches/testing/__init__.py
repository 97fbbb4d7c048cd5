"""Small HDR10, HLG and SDR movies whose frames carry their number: for tests, examples and the demo.

``movie``   ``write_movie(path, MovieSpec(...))``
``signal``  light to code values, and the numbers drawn into frames and read back
``paint``   skies, water, land, balloons and lamps
``picture`` layers of them in motion
``scenery`` what each painted scene looks like
"""

from .movie import HDR10, HLG, SCENES, SDR, Content, MovieSpec, write_movie
from .signal import read_number

__all__ = ["HDR10", "HLG", "SCENES", "SDR", "Content", "MovieSpec", "read_number", "write_movie"]
