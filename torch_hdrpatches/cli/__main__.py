"""Runs the program as ``python -m torch_hdrpatches.cli``."""

from .app import main

main()
