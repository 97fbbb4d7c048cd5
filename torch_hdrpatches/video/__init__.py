"""Reads windows of consecutive frames from movies with FFmpeg (PyAV), exact to the frame.

``movie``           an open movie: ``MovieReader.window(seconds, frames)``, within a time limit
``facts``           the properties of a movie: size, times, colour tags, HDR metadata
``seeking_reader``  finds frames of a movie with time stamps: seeks, then decodes only what is needed
``counting_reader`` finds frames of a raw stream without time stamps: counts them from the beginning
``demuxer``         the packets around a time, and which frames need which keyframe
``decoder``         one open stream: its packets in decoding order, and FFmpeg's decoder for them
``bitstream``       what a packet's header says of its frame: keyframe, droppable, shown
``container``       opens a movie safely and chooses the video stream
``movie_file``      the bytes of a file or URL; tells errors of the disk or network from damage
``planes``          a decoded frame as Y, Cb and Cr arrays
"""

from .facts import Facts
from .movie import MovieReader

__all__ = ["Facts", "MovieReader"]
