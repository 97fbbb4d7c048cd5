"""Folders and files on this machine's disks or behind URLs.

``folder``      a folder of files, local or in an object store, whose files appear whole or not at all
``range_file``  a movie behind a URL, read by byte ranges
``remote``      requests to a store through fsspec: retries, and errors of our own
``disk_errors`` what a file system refuses, with what would help
"""
