"""Opens a movie so that FFmpeg reads nothing else, and chooses the video stream."""

from __future__ import annotations

import errno
import mmap
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import DamagedMovieError, StorageError, UnsupportedMovieError
from .movie_file import MovieFile

FORMATS = "mov,matroska,webm,mpegts,mpeg,hevc,h264,av1,obu,ivf,avi,mxf"
"""Demuxers that read a single file; playlists, image sequences and network formats could open other files."""
MAX_PIXELS = 16384 * 16384
ORDINARY_BYTES = 1 << 29
"""More than a decoder needs at once for a frame of any usual size."""


def open_container(file: MovieFile) -> InputContainer:
    """Open a movie from its beginning; raises :class:`DamagedMovieError`, and the errors of ``MovieFile``."""
    file.seek(0)
    try:
        return av.open(
            file,
            mode="r",
            options={"max_pixels": str(MAX_PIXELS)},
            # libavformat opens no file and no connection by itself.
            container_options={"protocol_whitelist": "none", "format_whitelist": FORMATS},
            metadata_errors="replace",
        )
    except (FFmpegError, OSError) as error:
        refuse_shortage(file.name, error)
        reason = f"is not a readable movie ({error.strerror or error})"
        raise DamagedMovieError(file.name, reason, f"supported formats: {FORMATS}") from None


def refuse_shortage(path: str, error: FFmpegError | OSError) -> None:
    """Raise StorageError if an error of FFmpeg is a lack of memory or threads, which is no damage of the movie.

    A damaged movie may ask for absurd amounts of memory. So it counts only if ordinary amounts are not to be had.
    """
    if error.errno == errno.EAGAIN:
        raise StorageError(f"{path}: the system refuses another thread; use fewer workers, or raise ulimit -u")
    if error.errno == errno.ENOMEM:
        try:
            mmap.mmap(-1, ORDINARY_BYTES).close()
        except OSError:
            what = "out of memory while it was decoded; free some memory, or use fewer workers"
            raise StorageError(f"{path}: {what}, then run the same command again to resume") from None


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The video streams, without cover images and thumbnails."""
    ignored = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & ignored]


def choose_stream(path: str, container: InputContainer, index: int | None) -> VideoStream:
    """The stream with this index; for None the main one: not a still image, then default, longest, largest, first."""
    streams = [stream for stream in videos_of(container) if index in (None, stream.index)]
    if not streams:
        raise DamagedMovieError(path, "has no video" if index is None else f"has no video stream {index}")
    best = max(streams, key=_rank)
    if best.codec_context is None:
        raise UnsupportedMovieError(path, f"no decoder for its video{_codec_name(container, best)}", "re-encode it")
    if best.width * best.height > MAX_PIXELS:
        raise UnsupportedMovieError(path, f"claims {best.width}x{best.height} pixels")
    return best


def _rank(stream: VideoStream) -> tuple[bool, bool, int, int, int]:
    pixels = stream.width * stream.height if stream.codec_context is not None else 0
    default = bool(stream.disposition & Disposition.default)
    return stream.frames != 1, default, stream.frames, pixels, -stream.index


def _codec_name(container: InputContainer, stream: VideoStream) -> str:
    """The codec of a stream without decoder by FFmpeg's listing of streams, e.g. `` (none (dav1 / 0x31766164))``."""
    with logged():
        listing: str = container.dumps_format()  # type: ignore[attr-defined] # missing in PyAV's stubs
    match = re.search(rf"Stream #0:{stream.index}\b.*?Video: ([^,\n]+)", listing)
    return f" ({match[1]})" if match else ""


_log_lock = threading.Lock()


@contextmanager
def logged() -> Iterator[list[tuple[int, str, str]]]:
    """Collect FFmpeg's log up to level INFO as (level, name, text); log settings are restored afterwards."""
    with _log_lock:  # log settings are global
        level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.INFO)
        av.logging.set_skip_repeated(False)
        try:
            # Of all threads, or else what others log meanwhile would go to the terminal.
            with av.logging.Capture(local=False) as lines:
                yield lines
        finally:
            av.logging.set_skip_repeated(skips)
            av.logging.set_level(level)
