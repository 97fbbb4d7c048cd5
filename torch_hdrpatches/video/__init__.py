"""The frames of a movie, exact to the frame. Everything that touches FFmpeg while frames are read is here.

``container``       opens a file or URL safely and chooses the video stream
``bitstream``       what a packet's header says of its frame: keyframe, droppable, shown
``decoder``         packets in decoding order, and the decoder for them
``demuxer``         spans of packets from one keyframe to the next
``seeking_reader``  windows of a file with usable time stamps: seeks, then decodes only what is needed
``counting_reader`` windows of a raw stream without time stamps: counts frames from the start
``planes``          a decoded frame as Y, Cb and Cr arrays
``timeout``         a call that may take only so long
``facts``           what is known of a movie: size, times, colour tags, HDR metadata
``movie``           an open movie: ``window(seconds, frames)``
"""

from .facts import Facts
from .movie import MovieReader

__all__ = ["Facts", "MovieReader"]
