"""Signal, light and tone curves, from code values to tone-mapped RGB.

``names``    names and numbers of transfers, primaries, matrices and ranges, and which are accepted
``formulas`` the published formulas in float64
``curves``   tone curves, and the peak that they start from
``tables``   formulas and curves as lookup tables for one movie
``kernel``   the compiled loop from planes to RGB
``grader``   planes of one movie to SDR codes or HDR signal
``tone_map`` a tone curve as a ``torch.nn.Module``
"""

from .curves import ToneSettings, UserCurve
from .grader import Grader
from .tone_map import ToneMap

__all__ = ["Grader", "ToneMap", "ToneSettings", "UserCurve"]
