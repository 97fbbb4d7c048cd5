"""Records in WebDataset tar files, and back.

``record``   a sample as members of a tar, and read back
``codecs``   pictures to bytes and back: PNG, JPEG XL, WebP, NPY
``png``      our PNG writer
``index``    where each record lies in a tar, without reading it
``manifest`` sidecars, manifest, wids index and dataset card of an exported folder
``browse``   metadata and samples of an exported folder, without reading all of it
"""
