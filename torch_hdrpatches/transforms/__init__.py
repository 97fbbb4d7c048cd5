"""From ground truth to low quality, and augmentation.

``filters``     filter taps, and scaling and blurring along an axis
``resize``      a decoded frame scaled to the working size
``degrade``     bicubic, Gaussian blur, area and Lanczos degradations
``corruptions`` blur, noise, JPEG and random resizing, chained as in Real-ESRGAN
``video_codec`` a degradation by a real video encoder
``augment``     flips, rotations, reversed time
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
