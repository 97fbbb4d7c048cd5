"""The sample dict, the options that shape it, and its address in the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, NotRequired, TypeAlias, TypedDict, cast

import numpy as np
from torch import Tensor
from torch.utils._pytree import MappingKey, register_pytree_node

from ..callables import ARGUMENTS, called, checked, name_of
from ..color.curves import UserCurve
from ..transforms.degrade import BI, Degrade
from .measures import Measures


class Sample(TypedDict):
    """A training pair and its origin. The keys, types and values are the same live and read back from a shard.

    The keys come in this order, tensors first: what asks a batch for its size looks at the first value. All tensors are
    contiguous.
    """

    lq: Tensor
    """(T, 3, H/scale, W/scale) RGB, of the same type as ``gt``."""
    gt: Tensor
    """uint8 (3, H, W) RGB, the centre frame, or (T, 3, H, W) with ``gt="sequence"``; uint16 signal for HDR."""
    lq_hdr: NotRequired[Tensor]
    gt_hdr: NotRequired[Tensor]
    """uint16 PQ or HLG signal beside an SDR ``gt``; this and ``lq_hdr`` come with ``output="both"`` only."""
    key: str
    """Unique: ``[a-z0-9_-]+``, no dot, at most 100 bytes. ``__key__`` is the same, for WebDataset."""
    __key__: str
    category: str
    format: str
    movie: str
    seconds: float
    """Presentation time of the centre frame, measured from the start of the movie."""
    frame_pts: tuple[float, ...]
    """Time stamps of the window's frames in seconds, as stored in the container."""
    crop: tuple[int, int, int, int]
    """Top, left, height, width in working pixels."""
    slot: int
    epoch: int
    attempt: int
    scene_change: float
    """Stability score of the window; below the recipe's threshold."""
    measures: Measures
    tonemap: dict[str, str | float]
    """Curve, peak and reference white in cd/m2; 0 where no curve was applied."""
    source: dict[str, str | float]
    """Colour tags, bit depth and HDR metadata of the movie; 0 = unknown."""


class SampleDict(dict[str, Any]):
    """What a ``Sample`` is at run time, and a batch that ``default_collate`` makes of samples.

    A dict that prints the shapes of tensors in place of their pixels, and shows its frames in a notebook.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        from .notebook import one_line

        return f"<{one_line(self)}>"

    def _repr_html_(self) -> str:
        from .notebook import patches

        return patches(self)


# As torch knows dict itself, so that tree_map, FSDP and torch.export find the tensors of a batch.
register_pytree_node(
    SampleDict,
    lambda sample: ([*sample.values()], [*sample]),
    lambda values, names: SampleDict(zip(names, values, strict=True)),
    serialized_type_name="torch_hdrpatches.SampleDict",
    flatten_with_keys_fn=lambda sample: ([(MappingKey(name), sample[name]) for name in sample], [*sample]),
)


def in_order(fields: Mapping[str, Any]) -> Sample:
    """These fields as a sample, in the order of its keys; keys that a transform has added come last."""
    known = [name for name in Sample.__annotations__ if name in fields]
    return cast(Sample, SampleDict({name: fields[name] for name in (*known, *fields)}))


Transform: TypeAlias = Callable[[Sample, np.random.Generator], Sample]
"""``transform(sample, rng) -> sample``, with a generator that is seeded by the sample's address."""


class SampleOptions(TypedDict, total=False):
    """How samples are made from a window: what a caller chooses besides the recipe. All are optional."""

    output: Literal["sdr", "hdr", "both"]
    """``"sdr"`` (default): tone-mapped uint8; ``"hdr"``: uint16 signal; ``"both"``: SDR and HDR keys."""
    gt: Literal["centre", "sequence"]
    """The ``"centre"`` frame (default), or the whole ``"sequence"``."""
    degrade: Degrade | None
    """Makes ``lq`` from the ground-truth frames; by default bicubic with antialiasing (``BI()``)."""
    transform: Transform | None
    """``transform(sample, rng) -> sample``, applied to each sample last."""
    curve: UserCurve | None
    """A tone curve ``f(light, peak) -> light`` in place of the recipe's; see ``UserCurve``."""
    accept: Callable[[Sample], bool] | None
    """Whether to keep a patch; a refused one is drawn again elsewhere in its window, up to three times."""


DEFAULTS = SampleOptions(output="sdr", gt="centre", degrade=BI(), transform=None, curve=None, accept=None)


def with_defaults(options: SampleOptions) -> SampleOptions:
    """All six options; those that are absent or None get their defaults.

    Raises TypeError for an unknown option, and for a function that takes other arguments.
    """
    if unknown := options.keys() - DEFAULTS.keys():
        raise TypeError(f"unknown option {sorted(unknown)[0]!r}, expected one of: {', '.join(DEFAULTS)}")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name in ARGUMENTS:
            checked(name, value)
    return cast(SampleOptions, DEFAULTS | given)


def transformed(sample: Sample, transform: Transform, rng: np.random.Generator) -> Sample:
    """The sample after a user's transform; a plain dict becomes a ``SampleDict``. Raises TypeError for no mapping."""
    key = sample["key"]  # the transform may drop it
    with called("transform", transform, key):
        result: object = transform(sample, rng)
    if not isinstance(result, Mapping):
        raise TypeError(
            f"transform {name_of(transform)} returned {type(result).__name__} for sample {key}, expected a sample; "
            "is `return sample` missing?"
        )
    return cast(Sample, SampleDict(result) if type(result) is dict else result)


class SampleAddress(NamedTuple):
    """Where a window stands in the stream. Its random numbers are drawn at this address."""

    movie: str
    epoch: int
    slot: int
    attempt: int
