"""Labels of the real clips, made by looking at every frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np

from benchmarks.stability.shots import FRAMES, HEIGHT, WIDTH, Shot
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.color.formulas import eotf_pq, inverse_oetf_hlg
from torch_hdrpatches.frames import ColorTags, Planes
from torch_hdrpatches.video.planes import planes_of


@dataclass(frozen=True)
class Clip:
    """Labels of one clip. A frame number stands for the step from the previous frame to it."""

    name: str
    stable: tuple[tuple[int, int], ...] = ()
    """First frame, and the one after the last, of parts that show one scene."""
    cut: Sequence[int] = ()
    fade: Sequence[int] = ()
    """A window with four of these steps is a fade; with fewer it has no label."""
    frozen: Sequence[int] = ()
    """Frames that repeat the previous one, because of a rate conversion or because nothing moves."""
    black: Sequence[int] = ()
    footage: tuple[int, ...] = ()
    """First frames of parts without events, used as scenes in the generated movies."""
    stream: int = 0
    """The video stream to which the numbers belong."""

    def label(self, first: int, frames: int = 7) -> str | None:
        """The kind of a window, ``""`` if it is stable; None if this is not certain."""
        changes = set(range(first + 1, first + frames))
        for kind, needed in (("cut", 1), ("fade", 4), ("black", frames - 1), ("frozen", 1)):
            if len(changes.intersection(getattr(self, kind))) >= needed:
                return kind
        stable = any(start <= first and first + frames <= stop for start, stop in self.stable)
        return "" if stable and changes.isdisjoint(self.fade) else None


CLIPS = (
    Clip("av1_avis_chimera_10bit_270p.avif", stable=((0, 95),), footage=(0, 60), stream=1),
    Clip("elst_positive_shift.mp4", black=range(270)),
    Clip("elst_preroll_only.mp4", stable=((0, 16),)),
    Clip("hevc_422_10_full.mp4", frozen=range(1, 50)),
    Clip("hevc_gbrp10_full.mp4", frozen=range(1, 50)),
    # Motion graphics: the whole frame changes within one to three frames.
    Clip(
        "hlg_h264_8bit_720p60.ts", cut=(155, 156, 157, 216, 217, 218, 235, 240, 241, 242, 284, 285, 286, 290, 291, 292)
    ),
    Clip("hlg_hevc_848x464.mkv", stable=((0, 110),), footage=(20, 80)),
    Clip("hlg_hevc_color_test_1080p.mp4", stable=((0, 9),)),
    Clip("hlg_hevc_dv84_editlist_1080p.mp4", stable=((0, 77),), footage=(30,)),
    Clip("multires.mkv", stable=((0, 96),), footage=(10, 60)),
    # Up to frame 50 the camera's exposure adapts from indoors to the sky.
    Clip("pq_av1_portrait_720x1280.mp4", stable=((50, 127),), footage=(56, 80)),
    Clip("pq_h264_8bit_grad_colr111_1080p.mp4", frozen=range(1, 24)),
    Clip("pq_hevc_bear_360p30.mp4", stable=((2, 84),), frozen=(1, 2)),
    Clip("pq_hevc_countdown_1080p24.mov", stable=((0, 24), (24, 48), (48, 72)), cut=(73,), black=range(73, 96)),
    Clip("pq_hevc_dv81_1080p60.mp4", black=range(57)),
    Clip("pq_hevc_dv81_2160p60.mp4", stable=((150, 177),), fade=range(120, 150), black=range(119), footage=(155,)),
    Clip("pq_hevc_dv8_360p60.mp4", stable=((0, 361),), cut=(197,), footage=(30, 150, 300)),
    Clip("pq_hevc_hdr10plus_144p.mkv", black=range(259)),
    Clip("pq_hevc_sdr_container_1080p.mp4", stable=((0, 28),), footage=(5,)),
    Clip("sdr_hevc10_countdown_1080p24.mov", stable=((0, 24), (24, 48), (48, 72)), cut=(73,), black=range(73, 96)),
    Clip("sdr_hevc10_small.mp4", stable=((0, 30),)),
    Clip("sdr_hevc_bear_720p30.mp4", stable=((0, 82),), footage=(10, 50)),
    # A pattern that repeats itself, so that where it jumps it also fits as moving on.
    Clip(
        "sdr_hevc_one_iframe_1080p.mp4",
        stable=((3, 124), (126, 248), (250, 371)),
        cut=(124, 125, 248, 249),
        frozen=(1, 2, 126),
    ),
    Clip(
        "sdr_nasa.mp4",
        stable=((0, 113), (152, 202)),
        cut=(202,),
        fade=range(127, 152),
        frozen=(206, 209, 216, 219, 226, 229, 236, 239, 246, 249),
    ),
    Clip("sdr_portrait_4k60_rot.mp4", stable=((0, 18),)),
    Clip("ts_trunc_1440p.ts", frozen=(4,)),
    Clip("untagged_main10_dash_720p.mp4", cut=(39, 77, 114, 173, 186), frozen=range(4, 240, 6)),
    Clip("vfr_cursed.mp4", stable=((27, 57),), frozen=(60, 61)),
    Clip("vp92_10bit_240p.webm", stable=((0, 42), (42, 69)), cut=(42, 69), footage=(10, 48)),
)
"""Clips that are not listed (hevc_main10_sdr_360p.ts, corrupted.mp4, ...) show nothing certain, or the same."""


def decoded(path: Path, stream_number: int = 0) -> Iterator[av.VideoFrame]:
    """The frames of a video stream, in order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[stream_number]
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def transfer_of(frame: av.VideoFrame, name: str) -> str:
    """``pq``, ``hlg`` or ``bt709``; for untagged clips the one with which they look right."""
    untagged = "pq" if name == "vp92_10bit_240p.webm" else "bt709"
    return {16: "pq", 18: "hlg"}.get(int(frame.color_trc), untagged)


def grader_of(frame: av.VideoFrame, name: str) -> Grader:
    """The default tone mapping for a clip."""
    transfer = transfer_of(frame, name)
    primaries, matrix = ("bt709", "bt709") if transfer == "bt709" else ("bt2020", "bt2020nc")
    if frame.format.name.startswith("gbr"):
        matrix = "rgb"
    tags = ColorTags(transfer, primaries, matrix, "pc" if int(frame.color_range) == 2 else "tv")
    return Grader(tags, planes_of(frame).bits, ToneSettings(), 1000.0)


def thinned(frame: Planes, step: int) -> Planes:
    """Every ``step``-th row and column of a frame."""
    y, cb, cr = (np.ascontiguousarray(plane[::step, ::step]) for plane in (frame.y, frame.cb, frame.cr))
    height = min(y.shape[0], cb.shape[0] * frame.sub_y, -(-frame.height // step))
    width = min(y.shape[1], cb.shape[1] * frame.sub_x, -(-frame.width // step))
    return Planes(y, cb, cr, height, width, frame.sub_y, frame.sub_x, frame.bits)


def footage(folder: Path, clip: Clip) -> Iterator[Shot]:
    """The clip's parts without events, downscaled, as light of about the brightness of the painted canvases."""
    for first in clip.footage:
        lights = []
        for frame in islice(decoded(folder / clip.name, clip.stream), first, first + FRAMES):
            small = frame.reformat(WIDTH, HEIGHT, "rgb48le", interpolation="AREA").to_ndarray() / 65535
            transfer = transfer_of(frame, clip.name)
            if transfer == "pq":
                light = eotf_pq(small)
                light = light / (1 + light / 300)
            else:
                light = 300 * inverse_oetf_hlg(small) if transfer == "hlg" else 100 * small**2.4
            lights.append(light.astype(np.float32))
        yield lights.__getitem__
