"""A stand-in for torchvision: enough to import BasicSR, and to run its datasets and recurrent models."""

from __future__ import annotations

from pathlib import Path

MODULES = {
    "__init__": "from . import transforms, models, utils, ops\n__version__ = '0'\n",
    "transforms/__init__": "from . import functional\n",
    "transforms/functional": "def normalize(*a, **k): raise NotImplementedError\nrgb_to_grayscale = normalize\n",
    "models/__init__": "from . import vgg\n",
    "models/vgg": "def __getattr__(name): return None\n",
    "ops": "deform_conv2d = None\n",
    "utils": "def make_grid(*a, **k): raise NotImplementedError\n",
}
"""As in torchvision 0.17 and later, there is no ``transforms.functional_tensor``."""


def write_stub(folder: Path) -> Path:
    """Write the package ``torchvision`` into a folder, which is returned."""
    for name, text in MODULES.items():
        path = folder / "torchvision" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
