"""Precision and recall of scene stability on labelled windows: ``python -m benchmarks.stability.run``."""
