"""The core: plan, window, crop, sample, as a pure function of (recipe, epoch, slot).

``plan``        the order of an epoch: runs of slots, and the second of each slot
``stream``      ``outcome(epoch, movie, slot)``: decode once, check once, one sample per category
``sweep``       one run of slots: each window decoded once, checked once, retried later if refused
``scene``       whether a window shows one stable scene
``motion``      block matching between frames, on which ``scene`` stands
``cutter``      crop boxes, tone mapping and degradation: a window to samples
``geometry``    working size, rotation, active picture area and crop boxes
``measures``    entropy, sharpness, luma, clipping and motion of a patch
``sample``      the sample dict and its address
``tally``       counts of what was given and what was refused
``notebook``    HTML of facts, tables and frames, for notebooks
``fingerprint`` what a stream depends on, as flat keys that can be compared
"""

from .sample import Sample
from .stream import PatchStream
from .sweep import Outcome
from .tally import Tally

__all__ = ["Outcome", "PatchStream", "Sample", "Tally"]
