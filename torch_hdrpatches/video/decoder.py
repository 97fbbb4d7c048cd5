"""One video stream of one file: its packets in decoding order, and the decoder for them."""

from __future__ import annotations

import ctypes
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
from .container import MAX_PIXELS, choose_stream, open_container

NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS of libavformat/avformat.h."""
MAX_REORDER = 16
"""At most so many pictures precede one in decoding order and follow it in presentation (H.264, H.265: DPB size)."""
PAST_END_SECONDS = 1
"""So far behind the last picture a time still means the last window."""
MAX_READ_ERRORS = 16
"""So many read errors in a row are the end: a truncated MP4 gives one for every sample that is missing."""


@dataclass(slots=True)
class Coded:
    """A packet, what can be said of its picture without decoding it, and what became of it."""

    serial: int
    """Its place in the order of reading; also the pts under which the decoder knows it."""
    packet: Packet[VideoStream] | None
    """None once it was given to the decoder or dropped: its bytes are not kept."""
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    shows: bool
    """A picture comes out for it: it is not cut by an edit list, not hidden, and no leading picture without past."""
    droppable: bool
    """No other picture refers to it."""
    damaged: bool
    """It could not be read, or not be decoded, or its picture is flagged as corrupt."""
    fed: bool = False
    """It was given to the decoder."""
    emitted: bool = False
    """Its picture came out of the decoder."""

    @property
    def time(self) -> int:
        """When its picture is presented, in time base units, as far as the container says."""
        return self.pts if self.pts is not None else self.dts if self.dts is not None else 0


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
    """The packets of one video stream in decoding order, and the decoder for them.

    Args:
        path: a file or URL.
        stream: index of the stream; None: the main one.
        counters: where seeks, packets and frames are counted.
        threads: of the decoder.
        strict: what cannot be decoded is an error, rather than a guess; metadata is kept from the decoder.
    """

    def __init__(self, path: str, stream: int | None, counters: Counters, *, threads: int, strict: bool) -> None:
        self.path = path
        self._index, self._counters, self._threads, self._strict = stream, counters, threads, strict
        self._serial = 0
        self._open()
        _OPENED.add(self)

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
        kind = self.container.format
        self.timed = not kind.flags & NO_TIMESTAMPS and kind.name != "avi"
        """False for raw elementary streams, and for AVI, which has decoding times only: pictures have but a number."""
        self._classifier = Classifier(context.codec.canonical_name, context.extradata or b"")
        self._begin()

    def _decoder_options(self, decoder: str) -> dict[str, str]:
        options = {"max_pixels": str(MAX_PIXELS)}
        if decoder == "libdav1d":
            options["max_frame_delay"] = "1"  # else it delays pictures by as many threads as it has
        if decoder == "hevc" and self._strict:
            options["err_detect"] = "explode"  # else a slice that cannot be decoded leaves a hole, and nothing says so
        return options

    def _begin(self) -> None:
        """What follows comes from elsewhere in the stream."""
        self._packets = self._demuxed()
        self._classifier.reset()
        self._first_pts: int | None = None
        """Presentation time of the keyframe with which it begins."""
        self._begun = False
        self._errors = 0

    def _demuxed(self) -> Iterator[Packet[VideoStream]]:
        return self.container.demux(self.stream)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file; in a forked process those of its parent are left alone."""
        if self not in _INHERITED:
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
        self._counters.seeks += 1
        self.close()
        self._open()

    def read(self) -> Coded | None:
        """The next packet, beginning with a keyframe after opening or seeking; None where nothing more can be read."""
        while self._errors < MAX_READ_ERRORS:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, OSError):
                # The generator ends with its first exception; the demuxer itself can go on behind the damage.
                self._packets = self._demuxed()
                self._errors += 1
                if self._begun:
                    return self._next(None)
                continue
            if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
                return None  # PyAV ends with an empty packet
            self._errors = 0
            if not self._begun and packet.has_sidedata("encryption_info"):
                raise UnsupportedMovieError(self.path, "is encrypted", "decrypt it first")
            coded = self._next(packet)
            if self._begun:
                return coded
        return None

    def _next(self, packet: Packet[VideoStream] | None) -> Coded:
        serial, self._serial = self._serial, self._serial + 1
        if packet is None:
            return Coded(serial, None, None, None, 0, key=False, shows=False, droppable=False, damaged=True)
        kind = self._classifier.kind(packet)
        pts = packet.pts if self.timed else None
        key = kind.enters and (packet.is_keyframe or self._classifier.is_explicit)
        if key and not self._begun:
            self._begun, self._first_pts = True, pts
        # Of H.265 the header tells which leading pictures can be decoded; of others none is taken.
        leads = pts is not None and self._first_pts is not None and pts < self._first_pts
        # Without its time nobody knows which pictures are beside it.
        damaged = packet.is_corrupt or kind.torn or (self.timed and pts is None)
        hidden = packet.is_discard or (leads and not self._classifier.is_explicit)
        return Coded(
            serial=serial,
            packet=packet,
            pts=pts,
            dts=packet.dts,
            duration=packet.duration or 0,
            key=key,
            # What a damaged packet says of itself is not believed.
            shows=(kind.shows or damaged) and not hidden,
            droppable=kind.droppable and not damaged,
            damaged=damaged,
        )

    def decode(self, coded: Coded) -> list[tuple[int, VideoFrame]]:
        """Give one packet to the decoder: (serial, frame) of what comes out. Damage is noted in ``coded``."""
        packet, coded.packet = coded.packet, None
        if packet is None:
            return []
        # Decoders hand pts through, so that a frame names its packet even where the file's pts are wrong or missing.
        packet.pts = coded.serial
        if self._strict:
            self._classifier.mute(packet)
        coded.fed = True
        self._counters.packets_fed += 1
        try:
            return self._frames(packet)
        except FFmpegError:
            coded.damaged = True
            return []

    def drain(self) -> list[tuple[int, VideoFrame]]:
        """What is left in the decoder; it takes no packets after this until :meth:`flush`."""
        try:
            return self._frames(None)
        except FFmpegError:  # it is drained already, or what is left is damaged: nothing more comes out
            return []

    def _frames(self, packet: Packet[VideoStream] | None) -> list[tuple[int, VideoFrame]]:
        frames = self.stream.codec_context.decode(packet)
        self._counters.frames_decoded += len(frames)
        return [(frame.pts if frame.pts is not None else -1, frame) for frame in frames]

    def flush(self) -> None:
        """Forget all pictures in the decoder."""
        self.stream.codec_context.flush_buffers()


_OPENED: weakref.WeakSet[Source] = weakref.WeakSet()
_INHERITED: list[Source] = []
"""Sources that the parent had opened. Freeing their decoders would wait for threads that no fork brings along."""


def _keep_what_was_open() -> None:
    _INHERITED.extend(_OPENED)


os.register_at_fork(after_in_child=_keep_what_was_open)


def _glibc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, which manages its memory in another way
        return None
    return trim


_TRIM = _glibc_trim()
_last_kind: Hashable = None
"""Of decoder that this process opened. Decides what memory is kept, and nothing else."""


def give_back() -> None:
    """Give all freed memory back."""
    if _TRIM:
        _TRIM(0)


def prepare_for(kind: Hashable) -> None:
    """Before a decoder of this kind is opened, give back what one of another kind has left.

    glibc keeps what a decoder frees, so that a process would grow with every size of picture; but to get the same
    memory back from the system, run after run, would cost a few per cent of the time at 4K.
    """
    global _last_kind
    if kind != _last_kind:
        give_back()
        _last_kind = kind
