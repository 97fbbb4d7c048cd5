"""The films that are measured: painted and encoded once, kept in ``results/work``, always the same bytes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import numba
import numpy as np

from torch_hdrpatches.testing.movie import video_frame

Plane: TypeAlias = np.ndarray[Any, np.dtype[Any]]

WORK = Path(__file__).parents[1] / "results" / "work"
FPS = 24
SLOT_FRAMES = 58
"""Frames per timestamp: 3,000 timestamps in two hours."""

MARGIN = 0.15
"""Margin of a canvas on every side, as a share of the frame, so that the camera can move."""
SHOT_SECONDS = (3.5, 6.0, 2.0, 9.0, 4.0, 12.0, 2.5, 5.0)
"""Lengths of the shots in turn: 5.5 s on average, as in feature films, with one long take."""
LUMA_GRAIN, CHROMA_GRAIN = 7.0, 2.5
"""Deviation of the grain in 10-bit codes: that of a fine-grained film stock."""
LEVELS = (300, 430, 240, 390, 340, 480)
"""Mean 10-bit PQ luma codes of the shots in turn, dark and bright: 6 to 60 cd/m2."""


@dataclass(frozen=True)
class Film:
    """HDR10, HEVC Main 10, 24 frames per second."""

    name: str
    height: int
    width: int
    slots: int
    """Number of timestamps; a multiple of eight, so that runs are full."""
    megabits: float
    """Mean bit rate in Mb/s."""
    keyint: int = 250
    """Longest distance of keyframes: 250 as x265 has it by default, 24 as on discs."""
    cuts_are_keyframes: bool = True
    preset: str = "veryfast"


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
"""By name. The first two have long GOPs, as x265 makes them by default; 720p is for a quick check."""


def made(film: Film) -> Path:
    """The film's file, encoded if missing: a minute for 720p, up to an hour for 2160p on two cores."""
    path, stamp, partial = (WORK / f"{film.name}{suffix}" for suffix in (".mkv", ".json", ".part.mkv"))
    if not (path.exists() and stamp.exists() and json.loads(stamp.read_text())["film"] == asdict(film)):
        WORK.mkdir(parents=True, exist_ok=True)
        _encode(film, partial)
        partial.replace(path)
        stamp.write_text(json.dumps({"film": asdict(film), **described(path)}, indent=1) + "\n")
    return path


def described(path: Path) -> dict[str, Any]:
    """Size, rate and structure of a movie, for the results."""
    with av.open(str(path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    return {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "frames": len(keys),
        "megabits_per_second": round(8e-6 * len(data) * FPS / len(keys), 2),
        "keyframes": [number for number, key in enumerate(keys) if key],
    }


def _encode(film: Film, path: Path) -> None:
    with av.open(path, "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx265", rate=FPS, options=_options(film))
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p10le"
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number, planes in enumerate(frames_of(film)):
            frame = video_frame(planes, "yuv420p10le")
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


def frames_of(film: Film) -> Iterator[list[Plane]]:
    """uint16 Y', Cb, Cr planes of each frame: 4:2:0, 10 bit, limited range. Depend on the film's size only."""
    height, width, frames = film.height, film.width, film.slots * SLOT_FRAMES
    grain_rng = np.random.default_rng([0, 0])
    grains = [_grain(grain_rng, height // n, width // n, d) for n, d in ((1, LUMA_GRAIN), (2, CHROMA_GRAIN))]
    shot = begin = 0
    while begin < frames:
        length = round(SHOT_SECONDS[shot % len(SHOT_SECONDS)] * FPS)
        rng = np.random.default_rng([0, 1, shot])
        scenery = _canvases(rng, height, width, LEVELS[shot % len(LEVELS)])
        thing = _canvases(rng, height, width, LEVELS[(shot + 2) % len(LEVELS)])
        # A dolly: up to five pixels per frame at 1080p, to and fro, some zoom and a slight roll.
        sway, phase = rng.uniform(0.008, 0.022, 2), rng.uniform(0, 6, 2)
        zoom, roll = rng.uniform(-0.0004, 0.0004), rng.uniform(-0.0002, 0.0002)
        place, speed = rng.uniform(0.25, 0.75, 2), rng.uniform(-0.003, 0.003, 2)
        for index in range(min(length, frames - begin)):
            offsets = np.random.default_rng([0, 2, begin + index])
            turn = np.array([1 + zoom * index, roll * index])
            planes = []
            for number, (canvas, other) in enumerate(zip(scenery, thing, strict=True)):
                sub = 1 if number == 0 else 2
                grain = grains[sub - 1]
                out = np.empty((height // sub, width // sub), np.uint16)
                pan = 0.8 * MARGIN * np.sin(phase + sway * index) * out.shape
                where = offsets.integers(0, (grain.shape[0], grain.shape[1] - out.shape[1]))
                _compose(canvas, other, turn, pan, (place + speed * index) * out.shape, grain, where, out)
                planes.append(out)
            yield planes
        begin += length
        shot += 1


def _grain(rng: np.random.Generator, height: int, width: int, deviation: float) -> Plane:
    """int8 (height, 2 * width): larger than a motion search, so that an encoder cannot predict grain from a frame."""
    field = rng.standard_normal((height, 2 * width), np.float32) * np.float32(deviation)
    # Blurred along rows with 3 taps, because the energy of real grain falls towards the finest detail.
    field[:, 1:-1] = (field[:, :-2] + 2 * field[:, 1:-1] + field[:, 2:]) * np.float32(0.41)
    return np.asarray(np.clip(np.rint(field), -60, 60), np.int8)


def _canvases(rng: np.random.Generator, height: int, width: int, level: float) -> list[Plane]:
    """float32 Y', Cb, Cr canvases in 10-bit codes."""
    planes = []
    for sub, mean, deviation, slope in ((1, level, 75, 1.35), (2, 512, 24, 1.6), (2, 512, 24, 1.6)):
        rows, columns = (int(n / sub * (1 + 2 * MARGIN)) // 2 * 2 for n in (height, width))
        planes.append((mean + deviation * _texture(rng, rows, columns, slope)).astype(np.float32))
    return planes


def _texture(rng: np.random.Generator, height: int, width: int, slope: float) -> Plane:
    """1/f^slope noise, the spectrum of natural images, with contours: mean 0, deviation 1."""
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * height
    falloff = np.maximum(np.hypot(fy, fx), 1) ** -slope
    falloff[0, 0] = 0
    smooth, contour = (
        np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width), np.float32)) * falloff, (height, width))
        for _ in range(2)
    )
    # The first field steps where the second crosses a level: edges, as between objects.
    mixed = smooth / smooth.std() + 0.8 * np.sign(contour) + 0.5 * np.sign(contour - contour.std())
    return np.asarray((mixed - mixed.mean()) / mixed.std(), np.float32)


@numba.njit  # type: ignore[untyped-decorator]
def _compose(
    canvas: Plane, other: Plane, turn: Plane, shift: Plane, place: Plane, grain: Plane, where: Plane, out: Plane
) -> None:
    """The canvas as the camera sees it, an ellipse of another in front, grain on top; bilinear, edges repeated."""
    height, width = out.shape
    rows, columns = canvas.shape
    middle_y, middle_x = rows / 2 + shift[0], columns / 2 + shift[1]
    radius = height / 5
    for y in range(height):
        noise = grain[(y + where[0]) % grain.shape[0]]
        for x in range(width):
            dy, dx = y - height / 2, x - width / 2
            away_y, away_x = y - place[0], x - place[1]
            if (away_y / radius) ** 2 + (away_x / (1.4 * radius)) ** 2 < 1:
                source, from_y, from_x = other, rows / 2 + away_y, columns / 2 + away_x
            else:
                source = canvas
                from_y = middle_y + turn[0] * dy + turn[1] * dx
                from_x = middle_x + turn[0] * dx - turn[1] * dy
            from_y = min(max(from_y, 0.0), rows - 1.001)
            from_x = min(max(from_x, 0.0), columns - 1.001)
            j, i = int(from_y), int(from_x)
            b, a = from_y - j, from_x - i
            value = (source[j, i] * (1 - a) + source[j, i + 1] * a) * (1 - b)
            value += (source[j + 1, i] * (1 - a) + source[j + 1, i + 1] * a) * b
            out[y, x] = int(min(max(value + noise[x + where[1]], 64.0), 940.0) + 0.5)


if __name__ == "__main__":
    for film in FILMS.values():
        print(film.name, json.dumps(described(made(film))))
