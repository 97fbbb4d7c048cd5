"""Folders and files on this machine's disks or behind URLs.

``folder``      a folder on a disk or in an object store; its files appear complete or not at all
``range_file``  a movie behind a URL, read by byte ranges
``remote``      requests to servers and object stores through fsspec, with retries
``disk_errors`` disk errors of an export, with what would help
"""
