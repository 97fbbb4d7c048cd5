"""Packet headers tell whether a frame is shown, needed by others, or damaged."""

from __future__ import annotations

import av
import pytest

from torch_hdrpatches.video.bitstream import Classifier


@pytest.mark.parametrize("codec", ["hevc", "h264"])
@pytest.mark.parametrize("extradata", [b"", b"\x01" + bytes(30)])
def test_a_packet_of_zeros_is_corrupt_and_an_empty_one_is_not(codec, extradata):
    classifier = Classifier(codec, extradata)
    assert classifier.classify(av.Packet(bytes(200))).is_corrupt
    assert not classifier.classify(av.Packet(b"")).is_corrupt
