"""One video stream of one file, opened with everything hostile switched off: its packets, classified, and its pictures."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .errors import DamagedMovieError, MovieOpenError, UnsupportedMovieError
from .packets import Classifier

FORMATS = "mov,matroska,webm,mpegts,mpeg,hevc,h264,av1,obu,ivf,avi,mxf"
"""Demuxers that read one file and open no other; playlists, image sequences and network formats are left out."""

NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS of libavformat/avformat.h."""

MAX_PIXELS = 16384 * 16384
MAX_REORDER = 16
"""A picture is preceded in decoding order by at most this many that follow it in presentation (H.264, H.265: DPB size)."""
PAST_END_SECONDS = 1
"""So far behind the last picture a time still means the last window."""
MAX_READ_ERRORS = 16
"""So many read errors in a row are the end: a truncated MP4 gives one for every sample that is missing."""


@dataclass(slots=True)
class Coded:
    """A packet, and what can be said of its picture without decoding it."""

    serial: int
    """Its place in the order of reading; also the pts under which the decoder knows it."""
    packet: Packet[VideoStream] | None
    """None once it was given to the decoder or dropped: its bytes are not kept."""
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    shows: bool
    """A picture comes out for it: it is not discarded by an edit list, not hidden, and no leading picture without past."""
    droppable: bool
    """No other picture refers to it."""
    damaged: bool = False
    """It could not be read, or not be decoded."""
    fed: bool = False
    """It was given to the decoder."""
    emitted: bool = False
    """Its picture came out of the decoder."""


@dataclass(slots=True)
class Counters:
    """What a movie has cost so far."""

    frames_decoded: int = 0
    packets_fed: int = 0
    packets_dropped: int = 0
    seeks: int = 0
    windows: int = 0


class Timed(NamedTuple):
    """A frame and its presentation time stamp in seconds."""

    time: Fraction
    frame: VideoFrame


class Source:
    """The packets of one video stream in decoding order, and the decoder for them."""

    def __init__(self, path: str, stream: int | None, counters: Counters, *, threads: int, strict: bool) -> None:
        self.path = path
        self._index, self._counters, self._threads = stream, counters, threads
        self._strict = strict
        self._serial = 0
        self._open()

    def _open(self) -> None:
        self.container = open_container(self.path)
        try:
            self.stream = choose_stream(self.path, self.container, self._index)
            for other in self.container.streams:
                other.discard = Discard.default if other.index == self.stream.index else Discard.all
            context = self.stream.codec_context
            context.thread_count = self._threads
            context.thread_type = "SLICE" if self._threads > 1 else "NONE"
            context.options = self._decoder_options(context.name)
        except BaseException:
            self.container.close()
            raise
        self.time_base = Fraction(self.stream.time_base or 1)
        self.timed = not self.container.format.flags & NO_TIMESTAMPS
        """False for raw elementary streams: their pictures have no time but their number."""
        self._classifier = Classifier(context.codec.canonical_name, context.extradata or b"")
        self._begin()

    def _decoder_options(self, decoder: str) -> dict[str, str]:
        options = {"max_pixels": str(MAX_PIXELS)}
        if decoder == "libdav1d":
            options["max_frame_delay"] = "1"  # else it delays pictures by as many threads as it has
        if decoder == "hevc" and self._strict:
            options["err_detect"] = "explode"  # else a slice that cannot be decoded leaves a hole in a picture, unsaid
        return options

    def _begin(self) -> None:
        """What follows comes from elsewhere in the stream."""
        self._packets: Iterator[Packet[VideoStream]] = self.container.demux(self.stream)
        self._classifier.reset()
        self._begun = False
        self._first_pts: int | None = None
        """Presentation time of the keyframe with which it begins."""
        self._errors = 0

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        self.container.close()

    def seek(self, timestamp: int) -> bool:
        """Go to the keyframe at or before ``timestamp`` (time base units); False if the container cannot."""
        self._counters.seeks += 1
        try:
            self.container.seek(timestamp, stream=self.stream)
        except FFmpegError:
            return False
        self._begin()
        return True

    def reopen(self) -> None:
        """Go to the beginning of a file that cannot be sought."""
        self.close()
        self._open()

    def read(self) -> Coded | None:
        """The next packet, the first after opening or seeking being a keyframe; None where nothing can be read any more."""
        while self._errors < MAX_READ_ERRORS:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, OSError):
                # The generator ends with its first exception; the demuxer itself can go on behind the damage.
                self._packets = self.container.demux(self.stream)
                self._errors += 1
                if self._begun:
                    return self._numbered(Coded(0, None, None, None, 0, False, False, False, damaged=True))
                continue
            if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
                return None
            self._errors = 0
            if not self._begun and not packet.is_keyframe:
                continue
            coded = self._numbered(self._coded(packet))
            if not self._begun:
                self._begun, self._first_pts = True, coded.pts
            return coded
        return None

    def _numbered(self, coded: Coded) -> Coded:
        coded.serial = self._serial
        self._serial += 1
        return coded

    def _coded(self, packet: Packet[VideoStream]) -> Coded:
        kind = self._classifier.kind(packet)
        # Of H.265 the header tells which leading pictures can be decoded; of others none is taken.
        leading = not self._classifier.tells_leading and None not in (packet.pts, self._first_pts) and self._begun
        return Coded(
            serial=0,
            packet=packet,
            pts=packet.pts,
            dts=packet.dts,
            duration=packet.duration or 0,
            key=packet.is_keyframe,
            shows=kind.shows and not packet.is_discard and not (leading and packet.pts < self._first_pts),
            droppable=kind.droppable,
            damaged=packet.is_corrupt,
        )

    def decode(self, coded: Coded) -> list[tuple[int, VideoFrame]]:
        """Give one packet to the decoder: (serial, frame) of what comes out. Damage is noted in ``coded``."""
        packet, coded.packet = coded.packet, None
        if packet is None:
            return []
        # Decoders pass pts through untouched, so that a frame tells its packet even where the file's pts lie.
        packet.pts = coded.serial
        if self._strict:
            self._classifier.mute(packet)
        coded.fed = True
        self._counters.packets_fed += 1
        try:
            return self._numbered_frames(packet)
        except FFmpegError:
            coded.damaged = True
            return []

    def drain(self) -> list[tuple[int, VideoFrame]]:
        """What is left in the decoder; it takes no packets after this until :meth:`flush`."""
        try:
            return self._numbered_frames(None)
        except FFmpegError:  # it is drained already, or what is left in it is damaged: nothing more comes out
            return []

    def _numbered_frames(self, packet: Packet[VideoStream] | None) -> list[tuple[int, VideoFrame]]:
        frames = self.stream.codec_context.decode(packet)
        self._counters.frames_decoded += len(frames)
        return [(frame.pts if frame.pts is not None else -1, frame) for frame in frames]

    def flush(self) -> None:
        """Forget all pictures in the decoder."""
        self.stream.codec_context.flush_buffers()


def open_container(path: str) -> InputContainer:
    """Open a local file for reading; raises :class:`MovieOpenError` or :class:`DamagedMovieError`."""
    if "://" in path:
        raise MovieOpenError(path, "only local files can be opened")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a path may be any string here, e.g. with a null byte
    except (OSError, ValueError) as error:
        raise MovieOpenError(path, f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(mode):
        raise MovieOpenError(path, "is not a regular file")
    try:
        return av.open(
            # With the protocol in front no name is taken for a URL, a pipe or a pattern.
            f"file:{path}",
            container_options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
            options={"max_pixels": str(MAX_PIXELS)},
            metadata_errors="replace",
        )
    except PermissionError as error:
        raise MovieOpenError(path, f"cannot be opened ({error.strerror})", "check the permissions") from None
    except (FFmpegError, OSError) as error:
        raise DamagedMovieError(path, f"is no movie that can be read ({error})", f"containers: {FORMATS}") from None


def choose_stream(path: str, container: InputContainer, index: int | None) -> VideoStream:
    """The stream with this index, else the main one: neither a cover nor a thumbnail, the default, the longest, the largest."""
    streams = [s for s in videos_of(container) if index is None or s.index == index]
    if not streams:
        raise DamagedMovieError(path, "holds no video" if index is None else f"holds no video stream {index}")
    best = max(streams, key=_merit)
    if best.codec_context is None:
        raise UnsupportedMovieError(path, "is coded with something that this FFmpeg has no decoder for", "re-encode it")
    if best.width * best.height > MAX_PIXELS:
        raise UnsupportedMovieError(path, f"claims {best.width}x{best.height} pixels")
    return best


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The video streams that are movies rather than covers or thumbnails."""
    ignored = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & ignored]


def _merit(stream: VideoStream) -> tuple[Any, ...]:
    context = stream.codec_context
    pixels = context.width * context.height if context is not None else 0
    return (stream.frames != 1, bool(stream.disposition & Disposition.default), stream.frames, pixels, -stream.index)
