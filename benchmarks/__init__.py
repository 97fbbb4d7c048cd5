"""Measures this package: ``speed`` against bare decoding and other libraries, ``stability`` on labelled windows."""
