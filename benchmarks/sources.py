"""The movies that are measured on: made once, kept in ``benchmarks/results/work``, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from benchmarks.film import pictures

WORK = Path(__file__).parent / "results" / "work"
FPS = 24
SLOT_FRAMES = 58
"""Film density: 3,000 timestamps in two hours are one per 58 frames."""


@dataclass(frozen=True)
class Film:
    """A source: HDR10, HEVC Main 10, 24 frames per second."""

    name: str
    height: int
    width: int
    slots: int
    """Length, in timestamps at film density; whole runs of eight, as a film has them."""
    megabits: float
    """Mean bit rate in Mb/s."""
    keyint: int = 250
    """Longest distance of keyframes: 250 as x265 has it by default, 24 as on discs."""
    cuts_are_keyframes: bool = True
    preset: str = "veryfast"

    @property
    def frames(self) -> int:
        return self.slots * SLOT_FRAMES

    @property
    def path(self) -> Path:
        return WORK / f"{self.name}.mkv"


FILMS = {
    film.name: film
    for film in (
        Film("1080p", 1080, 1920, 16, 15),
        Film("2160p", 2160, 3840, 8, 28),
        Film("1080p-long", 1080, 1920, 16, 15, cuts_are_keyframes=False),
        Film("2160p-long", 2160, 3840, 8, 28, cuts_are_keyframes=False),
        Film("1080p-disc", 1080, 1920, 16, 15, keyint=24, cuts_are_keyframes=False),
        Film("2160p-disc", 2160, 3840, 8, 28, keyint=24, cuts_are_keyframes=False),
        Film("720p", 720, 1280, 8, 7),
        Film("360p", 360, 640, 8, 2, keyint=24, cuts_are_keyframes=False),
    )
}
"""By name. The first two have long GOPs, as x265 makes them by default; 720p is for a quick look, 360p for counting."""


def made(film: Film) -> Path:
    """The film's file, encoded if it is not there yet: a minute for 720p, up to an hour for 2160p on two cores."""
    stamp = film.path.with_suffix(".json")
    wanted = json.loads(json.dumps(asdict(film)))
    if film.path.exists() and stamp.exists() and json.loads(stamp.read_text())["film"] == wanted:
        return film.path
    WORK.mkdir(parents=True, exist_ok=True)
    partial = film.path.with_suffix(".part.mkv")
    _encode(film, partial)
    partial.replace(film.path)
    stamp.write_text(json.dumps({"film": wanted, **described(film.path)}, indent=1) + "\n")
    return film.path


def described(path: Path) -> dict[str, Any]:
    """Bytes, rate and structure of a movie, for the results."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    size = path.stat().st_size
    return {
        "bytes": size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "frames": len(packets),
        "megabits_per_second": round(8e-6 * size * FPS / len(packets), 2),
        "keyframes": keys,
    }


def _encode(film: Film, path: Path) -> None:
    with av.open(path, "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx265", rate=FPS, options=_options(film))
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p10le"
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number, planes in enumerate(pictures(film.height, film.width, film.frames, FPS)):
            frame = av.VideoFrame(film.width, film.height, "yuv420p10le")
            for target, codes in zip(frame.planes, planes, strict=True):
                rows = np.frombuffer(cast(Any, target), np.uint16).reshape(target.height, target.line_size // 2)
                rows[:, : target.width] = codes
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _options(film: Film) -> dict[str, str]:
    parameters = {
        "bitrate": round(1000 * film.megabits),
        "keyint": film.keyint,
        "min-keyint": min(film.keyint, 24),
        "scenecut": 40 if film.cuts_are_keyframes else 0,
        "open-gop": 1,
        "bframes": 4,
        "b-pyramid": 1,
        "ref": 3,
        "wpp": 1,
        # Fixed, and no settings in the stream: the bytes do not depend on the machine's cores.
        "frame-threads": 2,
        "lookahead-slices": 1,
        "info": 0,
        "master-display": "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
        "max-cll": "1000,400",
        "log-level": "error",
    }
    return {
        "preset": film.preset,
        "color_trc": "smpte2084",
        "color_primaries": "bt2020",
        "colorspace": "bt2020nc",
        "color_range": "tv",
        "chroma_sample_location": "left",
        "x265-params": ":".join(f"{name}={value}" for name, value in parameters.items()),
    }


if __name__ == "__main__":
    for one in FILMS.values():
        print(one.name, json.dumps(described(made(one))))
