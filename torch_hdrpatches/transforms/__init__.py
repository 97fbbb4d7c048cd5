"""Degradations from ground truth to low-quality frames, and augmentation of samples.

``filters``     filter kernels, the taps of an axis, and the compiled passes that apply them
``resize``      scaling of a decoded frame to the working size
``degrade``     bicubic, blur and subsampling, area and Lanczos degradations
``corruptions`` blur, noise, JPEG and random resizing, in chains as in Real-ESRGAN
``video_codec`` compression by a real video encoder, as a step of a chain
``augment``     flips, rotations and time reversal
"""

from .augment import Compose, Flip, ReverseTime, Rotate
from .corruptions import Chain, second_order
from .degrade import BD, BI, Area, Degrade, Lanczos, OldLanczos
from .video_codec import VideoCodec

__all__ = [
    "BD",
    "BI",
    "Area",
    "Chain",
    "Compose",
    "Degrade",
    "Flip",
    "Lanczos",
    "OldLanczos",
    "ReverseTime",
    "Rotate",
    "VideoCodec",
    "second_order",
]
