"""Colour conversion, from code values to tone-mapped RGB.

``names``    names of transfers, primaries, matrices, ranges and chroma locations, and which are accepted
``formulas`` the published formulas in float64
``curves``   tone curves, their settings, and a movie's peak luminance
``tables``   the kernel's parameters for one movie: matrices, and the tone curve as lookup tables
``kernel``   the compiled loop from Y'CbCr planes to RGB codes
``grader``   conversion of one movie's frames to SDR codes or HDR signal
``tone_map`` tone mapping as a ``torch.nn.Module``
"""

from .curves import ToneSettings, UserCurve
from .grader import Grader
from .tone_map import ToneMap

__all__ = ["Grader", "ToneMap", "ToneSettings", "UserCurve"]
