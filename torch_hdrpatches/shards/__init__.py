"""Records in WebDataset tar files, and back.

``record``   a sample as members of a tar, and back; ``decode`` for pipelines of webdataset
``codecs``   lossless image codecs: PNG, JPEG XL, WebP, NPY
``png``      the PNG reader and writer
``index``    the records of a tar, in order or found without reading the tar
``manifest`` sidecars, manifest, wids index and dataset card of an exported folder
``layouts``  how other trainers name the frames of a sample in their folders
``browse``   shards, metadata and chosen samples of an exported folder
"""

from .record import decode

__all__ = ["decode"]
