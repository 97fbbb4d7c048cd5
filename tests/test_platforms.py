"""The package imports where the Unix-only parts of the standard library are missing, as on Windows."""

from __future__ import annotations

import subprocess
import sys

# Third parties come first: they choose by sys.platform, which stays that of this machine.
SCRIPT = """
import ctypes, importlib, os, pkgutil, signal, sys
import fsspec, numba, portalocker, pydantic, ray, torch, typer, webdataset

sys.modules |= {"fcntl": None, "resource": None, "pwd": None}
functions = {os: ("register_at_fork", "sched_getaffinity", "fork"), signal: ("pthread_sigmask", "SIGKILL")}
for module, names in functions.items():
    for name in names:
        vars(module).pop(name, None)
def refuse(name):
    raise TypeError("no library without a name")
ctypes.CDLL = refuse
import torch_hdrpatches
for module in pkgutil.walk_packages(torch_hdrpatches.__path__, "torch_hdrpatches."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except torch_hdrpatches.errors.MissingExtraError:  # of a package that is not installed
            pass
print("imported")
"""


def test_every_module_imports_without_fcntl_fork_and_signal_masks():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240)
    assert done.stdout == "imported\n", done.stderr
