"""Folders and files on this machine's disks or behind URLs.

``folder``      a folder on a disk or in an object store; its files appear complete or not at all
``remote``      files behind URLs, through fsspec: requests with retries, movies read by byte ranges
``paths``       paths as people write them: ``~``, ``$NAME``, ``pathlib.Path``
``disk_errors`` disk errors of an export, with what would help
"""
