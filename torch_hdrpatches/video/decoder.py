"""Reads the packets of one video stream in decoding order, and decodes them."""

from __future__ import annotations

import ctypes
import itertools
import os
import weakref
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import UnsupportedMovieError
from .bitstream import Classifier
from .container import MAX_PIXELS, choose_stream, open_container, refuse_shortage
from .movie_file import MovieFile

NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS of libavformat/avformat.h
MAX_REORDER = 16
"""Most frames that can precede a frame in decoding order and follow it in presentation (H.264, H.265: DPB size)."""
PAST_END_SECONDS = 1  # a time up to this far behind the last frame still means the last window
MAX_READ_ERRORS = 16  # in a row, then reading stops: a truncated MP4 gives one for every missing sample


@dataclass(slots=True)
class CodedFrame:
    """A packet (by default one that could not be read) and the state of its frame. Times are in time base units."""

    serial: int
    """Position in reading order; also the pts that the decoder is given."""
    packet: Packet[VideoStream] | None = None
    """None after it was sent to the decoder or skipped, to free its bytes."""
    pts: int | None = None
    dts: int | None = None
    duration: int = 0
    is_key: bool = False
    shows: bool = False
    """A frame will be shown: not cut by an edit list, not hidden, not a leading frame without its references."""
    droppable: bool = False  # no other frame refers to it
    damaged: bool = True
    """It could not be read or decoded, or its frame is flagged as corrupt."""
    sent: bool = False
    decoded: bool = False
    """The decoder has returned its frame."""

    @property
    def time(self) -> int:
        """Presentation time, else decoding time, else 0."""
        return self.pts if self.pts is not None else self.dts if self.dts is not None else 0


@dataclass(slots=True)
class Counters:
    """The work done for one movie so far."""

    frames_decoded: int = 0
    packets_fed: int = 0
    """Packets sent to the decoder."""
    packets_dropped: int = 0
    """Packets not sent to it, because no frame of a window needs them."""
    seeks: int = 0
    windows: int = 0


class TimedFrame(NamedTuple):
    """A frame and its presentation time stamp in seconds."""

    seconds: Fraction
    frame: VideoFrame


class Decoder:
    """One video stream of one open file, and FFmpeg's decoder for it.

    ``stream`` is its index, or None for the main one. If ``strict``, damage is an error rather than concealed, and
    metadata is hidden from the decoder. Errors of the disk or network are raised by all methods, as StorageError.
    """

    def __init__(self, path: str, stream: int | None = None, *, threads: int = 1, strict: bool = False) -> None:
        self.path = path
        self.counters = Counters()
        self._index, self._threads, self._strict = stream, threads, strict
        self._serials = itertools.count()
        self._file = MovieFile(path)
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise
        _OPENED.add(self)

    def _open(self) -> None:
        self.container = open_container(self._file)
        try:
            self.stream = choose_stream(self.path, self.container, self._index)
            for other in self.container.streams:
                other.discard = Discard.default if other.index == self.stream.index else Discard.all
            context = self.stream.codec_context
            context.thread_count = self._threads
            context.thread_type = "SLICE" if self._threads > 1 else "NONE"
            context.options = {"max_pixels": str(MAX_PIXELS)}
            if context.name == "libdav1d":
                context.options |= {"max_frame_delay": "1"}  # else it delays frames by its number of threads
            if context.name == "hevc" and self._strict:  # else a bad slice leaves a hole in the frame without an error
                context.options |= {"err_detect": "explode"}
        except BaseException:
            self.container.close()
            raise
        self.time_base = Fraction(self.stream.time_base or 1)
        file_format = self.container.format
        self.has_pts = not file_format.flags & NO_TIMESTAMPS and file_format.name != "avi"
        """False for raw streams, and for AVI, which stores decoding times only: frames can only be counted."""
        self._classifier = Classifier(context.codec.canonical_name, context.extradata or b"")
        self._restart()

    def _restart(self) -> None:
        """Prepare for packets from elsewhere in the stream."""
        self._packets: Iterator[Packet[VideoStream]] = self.container.demux(self.stream)
        self._classifier.reset()
        self._found_key = False
        self._key_pts: int | None = None  # of the first keyframe from here
        self._errors = 0

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file, but not those that a forked process inherited from its parent."""
        if self not in _INHERITED:
            self.container.close()
            self._file.close()

    def seek(self, timestamp: int) -> bool:
        """Go to the keyframe at or before ``timestamp`` (time base units); False if the container cannot seek there."""
        self.counters.seeks += 1
        self._file.check()
        try:
            self.container.seek(timestamp, stream=self.stream)
        except FFmpegError as error:
            refuse_shortage(self.path, error)
            return False
        self._restart()
        return True

    def reopen(self) -> None:
        """Go to the beginning of a file in which seeking is impossible."""
        self.counters.seeks += 1
        self.container.close()
        self._open()

    def __iter__(self) -> Iterator[CodedFrame]:
        return iter(self.read, None)

    def read(self) -> CodedFrame | None:
        """The next packet; the first one after opening or seeking is a keyframe. None = end of what can be read."""
        self._file.check()
        while self._errors < MAX_READ_ERRORS:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, OSError) as error:
                refuse_shortage(self.path, error)
                # An exception ends PyAV's generator, but the demuxer can go on behind the damage.
                self._packets = self.container.demux(self.stream)
                self._errors += 1
                if self._found_key:
                    return CodedFrame(next(self._serials))
                continue
            if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
                return None  # PyAV ends with an empty packet
            self._errors = 0
            if not self._found_key and packet.has_sidedata("encryption_info"):
                raise UnsupportedMovieError(self.path, "is encrypted", "decrypt it first")
            coded = self._coded(packet)
            if self._found_key:
                return coded
        return None

    def _coded(self, packet: Packet[VideoStream]) -> CodedFrame:
        kind = self._classifier.classify(packet)
        pts = packet.pts if self.has_pts else None
        is_key = kind.is_entry_point and (packet.is_keyframe or self._classifier.headers_suffice)
        if is_key and not self._found_key:
            self._found_key, self._key_pts = True, pts
        # H.265 headers tell which leading frames can be decoded; of other codecs all are left out.
        leads = pts is not None and self._key_pts is not None and pts < self._key_pts
        hidden = packet.is_discard or (leads and not self._classifier.headers_suffice)
        # Without a time stamp the neighbours of a frame are unknown.
        damaged = packet.is_corrupt or kind.is_corrupt or (self.has_pts and pts is None)
        return CodedFrame(
            serial=next(self._serials),
            packet=packet,
            pts=pts,
            dts=packet.dts,
            duration=packet.duration or 0,
            is_key=is_key,
            # The headers of a damaged packet cannot be trusted.
            shows=(kind.shows or damaged) and not hidden,
            droppable=kind.droppable and not damaged,
            damaged=damaged,
        )

    def decode(self, coded: CodedFrame | None) -> list[tuple[int, VideoFrame]]:
        """Send a packet to the decoder; returns (serial, frame) of what comes out. Sets ``coded.damaged`` on errors.

        For None all that is still in the decoder comes out; it takes no more packets until :meth:`flush`.
        """
        packet = None
        if coded is not None:
            packet, coded.packet = coded.packet, None
            if packet is None:
                return []
            # Decoders pass pts through, so each frame names its packet even if pts in the file are wrong or missing.
            packet.pts = coded.serial
            if self._strict:
                self._classifier.blank_metadata(packet)
            coded.sent = True
            self.counters.packets_fed += 1
        try:
            frames = self.stream.codec_context.decode(packet)
        except FFmpegError as error:  # damage; without a packet also a decoder that is already empty
            refuse_shortage(self.path, error)
            if coded is not None:
                coded.damaged = True
            return []
        self.counters.frames_decoded += len(frames)
        return [(frame.pts if frame.pts is not None else -1, frame) for frame in frames]

    def flush(self) -> None:
        """Drop all frames in the decoder."""
        self.stream.codec_context.flush_buffers()


_OPENED: weakref.WeakSet[Decoder] = weakref.WeakSet()
_INHERITED: list[Decoder] = []
"""Decoders opened by the parent process, never freed here: that would wait for threads that a fork does not copy."""

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=lambda: _INHERITED.extend(_OPENED))


try:
    _malloc_trim: Callable[[int], int] | None = ctypes.CDLL(None).malloc_trim
except (OSError, AttributeError, TypeError):  # only glibc has it, and needs it
    _malloc_trim = None

_last_format: Hashable = None


def trim_memory(movie_format: Hashable) -> None:
    """Return freed memory to the system if the last movie opened in this process had another format (codec, size, ...).

    Else a process would grow with every new frame size. Doing so for every movie would make decoding at 4K a few per
    cent slower, because a decoder of the same format needs the same memory again.
    """
    global _last_format
    if _malloc_trim and movie_format != _last_format:
        _malloc_trim(0)
    _last_format = movie_format
