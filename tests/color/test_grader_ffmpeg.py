"""Converted colours are those of the zscale and tonemap filters of an installed ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import reference
from tests.helpers.charts import CHART, HLG, PQ, coded, patches
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.frames import ColorTags

CHAIN = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=mobius,zscale=t=bt709,format=gbrp"


def reason_to_skip() -> str:
    """Why there is no ffmpeg program to compare with; before 5.1 and after 6.1 ``CHAIN`` gives other results."""
    if shutil.which("ffmpeg") is None:
        return "there is no ffmpeg program"
    version = re.search(r"version n?(\d+)\.(\d+)", _ffmpeg("-version").decode())
    if version is None or not (5, 1) <= tuple(map(int, version.groups())) <= (6, 1):
        return "ffmpeg is not 5.1 to 6.1"
    filters, encoders = _ffmpeg("-hide_banner", "-filters").decode(), _ffmpeg("-hide_banner", "-encoders").decode()
    return "" if " zscale " in filters and " libx265 " in encoders else "ffmpeg was built without zscale or x265"


def _ffmpeg(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["ffmpeg", *arguments], input=stdin, capture_output=True, check=True).stdout


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())
@pytest.mark.parametrize(("tags", "max_cll"), [(PQ, 0), (PQ, 1000), (PQ, 4000), (HLG, 0)])
def test_codes_equal_those_of_the_ffmpeg_program(tmp_path: Path, tags: ColorTags, max_cll: int) -> None:
    frame = coded(patches(tags.transfer), tags, 10, 2, 2)
    height, width = frame.height, frame.width
    planes = (
        frame.y[:height, :width],
        frame.cb[: height // 2, : width // 2],
        frame.cr[: height // 2, : width // 2],
    )
    raw = b"".join(plane.tobytes() for plane in planes)
    transfer = "smpte2084" if tags.transfer == "pq" else "arib-std-b67"
    options = f"lossless=1:log-level=error:range=limited:chromaloc=0:colorprim=9:colormatrix=9:transfer={transfer}"
    options += f":hdr10=1:max-cll={max_cll},400" if max_cll else ""
    movie, size = str(tmp_path / "chart.mkv"), f"{width}x{height}"
    as_raw, ten_bit = ("-f", "rawvideo", "-pix_fmt"), "yuv420p10le"
    quiet = ("-v", "error")
    _ffmpeg(
        *quiet, *as_raw, ten_bit, "-s", size, "-i", "-", "-c:v", "libx265", "-x265-params", options, movie, stdin=raw
    )
    assert _ffmpeg(*quiet, "-i", movie, *as_raw, ten_bit, "-") == raw, "the encoder is not lossless"
    green, blue, red = np.frombuffer(
        _ffmpeg(*quiet, "-i", movie, "-vf", CHAIN, *as_raw, "gbrp", "-"), np.uint8
    ).reshape(3, height, width)

    codes = Grader(tags, 10, ToneSettings(), max_cll or 1000).sdr([frame], CHART)[0]
    difference = np.abs(codes.astype(int) - np.stack([red, green, blue], axis=-1))
    # At the borders of patches chroma is mixed and PQ signal may exceed 1, which we clamp and zimg does not.
    legal = (reference.signal(frame, tags) <= (1 if tags is PQ else 1.5)).all(axis=-1)
    assert legal.mean() > 0.99
    assert (difference[legal] > 1).mean() <= 1e-4
    assert tags is HLG or difference[legal].max() <= 1
