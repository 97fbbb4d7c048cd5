"""Names of transfers, primaries, matrices, ranges and chroma locations, and which of them can be converted.

Names are those of FFmpeg, except ``pq``, ``hlg`` and ``rgb``; numbers are those of ITU-T H.273.
"""

from __future__ import annotations

from collections.abc import Mapping

TRANSFERS: Mapping[int, str] = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100",
    10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
    16: "pq", 17: "smpte428", 18: "hlg",
}  # fmt: skip
"""H.273 TransferCharacteristics."""

PRIMARIES: Mapping[int, str] = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
    10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
"""H.273 ColourPrimaries."""

MATRICES: Mapping[int, str] = {
    0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
    15: "ipt-c2", 16: "ycgco-re", 17: "ycgco-ro",
}  # fmt: skip
"""H.273 MatrixCoefficients."""

RANGES: Mapping[int, str] = {1: "tv", 2: "pc"}
"""FFmpeg's AVColorRange: limited and full."""

CHROMA_SITING: Mapping[str, tuple[float, float]] = {
    "left": (0.5, 0.0), "center": (0.5, 0.5), "topleft": (0.0, 0.0), "top": (0.0, 0.5), "bottomleft": (1.0, 0.0),
    "bottom": (1.0, 0.5),
}  # fmt: skip
"""Position (down, across) in luma pixels of the first chroma sample along a subsampled axis (H.273, 8.7)."""

CHROMA_LOCATIONS: Mapping[int, str] = dict(enumerate(CHROMA_SITING, start=1))
"""FFmpeg's AVChromaLocation (H.273 Chroma420SampleLocType + 1)."""

ALIASES: Mapping[str, str] = {
    "smpte2084": "pq", "arib-std-b67": "hlg", "gamma22": "bt470m", "gamma28": "bt470bg",
    "srgb": "iec61966-2-1", "gbr": "rgb", "bt601": "smpte170m", "p3-d65": "smpte432", "limited": "tv",
    "full": "pc",
}  # fmt: skip
"""Other spellings accepted in a recipe; ``smpte2084``, ``arib-std-b67`` and ``gbr`` are those of FFmpeg."""

HDR_TRANSFERS = ("pq", "hlg")
SDR_TRANSFERS = (
    "bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "iec61966-2-4", "bt1361e", "iec61966-2-1",
    "bt2020-10", "bt2020-12",
)  # fmt: skip

CHROMATICITIES: Mapping[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "smpte240m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "ebu3213": ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""CIE 1931 (x, y) of R, G and B of the supported primaries (H.273, table 2); all have white D65."""

LUMA_COEFFICIENTS: Mapping[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722), "fcc": (0.30, 0.11), "bt470bg": (0.299, 0.114), "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087), "bt2020nc": (0.2627, 0.0593),
}  # fmt: skip
"""(Kr, Kb) of the supported matrices (H.273, table 4)."""

REFUSED: Mapping[str, str] = {
    "linear": "linear-light video is not graded for a display",
    "log100": "logarithmic video is not graded for a display",
    "log316": "logarithmic video is not graded for a display",
    "smpte428": "digital cinema X'Y'Z' is not RGB",
    "bt470m": "these primaries have white C, not D65",
    "film": "these primaries have white C, not D65",
    "smpte431": "these primaries have the DCI white, not D65",
    "ycgco": "YCgCo is not Y'CbCr",
    "ycgco-re": "YCgCo-Re is not Y'CbCr",
    "ycgco-ro": "YCgCo-Ro is not Y'CbCr",
    "bt2020c": "BT.2020 constant luminance is not a matrix on R'G'B'",
    "smpte2085": "Y'D'zD'x is not Y'CbCr",
    "chroma-derived-nc": "chromaticity-derived matrices are not supported",
    "chroma-derived-c": "chromaticity-derived constant luminance is not a matrix on R'G'B'",
    "ictcp": "ICtCp is not a matrix on R'G'B'",
    "ipt-c2": "IPT-PQ-C2 (Dolby Vision) is not Y'CbCr",
}
"""Known names that cannot be converted, with the reason; ``bt470m`` is refused as primaries only."""

ACCEPTED: Mapping[str, tuple[str, ...]] = {
    "transfer": HDR_TRANSFERS + SDR_TRANSFERS,
    "primaries": tuple(CHROMATICITIES),
    "matrix": ("rgb", *LUMA_COEFFICIENTS),
    "range": tuple(RANGES.values()),
    "chroma_location": tuple(CHROMA_LOCATIONS.values()),
}
"""Valid names of each field of ``frames.ColorTags``."""


def accepted_name(field: str, name: str) -> str:
    """The canonical name in this field of ``frames.ColorTags``. Raises ValueError if it cannot be converted."""
    plain = ALIASES.get(name, name)
    if plain not in ACCEPTED[field]:
        reason = REFUSED.get(plain, "unknown name")
        raise ValueError(f"{field} {name!r}: {reason}; accepted are {', '.join(ACCEPTED[field])}")
    return plain


def is_hdr(transfer: str) -> bool:
    """Whether frames with this transfer need a tone curve for an SDR display."""
    return transfer in HDR_TRANSFERS
