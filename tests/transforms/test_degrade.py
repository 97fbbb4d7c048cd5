"""Degradations follow their definitions in the literature, are bit-exact, and give frames of the promised size."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torch_hdrpatches.transforms import BD, BI, Area, Chain, Lanczos, OldLanczos, VideoCodec, second_order
from torch_hdrpatches.transforms.corruptions import (
    Blur,
    GaussianNoise,
    Jpeg,
    OneOf,
    PoissonNoise,
    RandomResize,
    Sometimes,
    gaussian_kernel,
)


def frames(height: int = 36, width: int = 60, dtype: torch.dtype = torch.uint8, count: int = 7) -> Tensor:
    """(T, 3, H, W): moving waves with noise over the full range of the type, with channels last in memory."""
    t, y, x, c = np.mgrid[:count, :height, :width, :3]
    waves = np.sin((x + 2 * t) / 7 + c) * np.cos(y / 9 - c) + np.random.default_rng(3).normal(0, 0.1, t.shape)
    top = torch.iinfo(dtype).max
    codes = (np.clip(waves * 0.5 + 0.5, 0, 1) * top).astype({255: np.uint8, 65535: np.uint16}[top])
    return torch.from_numpy(codes).permute(0, 3, 1, 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


DEGRADATIONS = [BI(), BD(), Area(), Lanczos(), OldLanczos()]
STEPS = [Blur(ellipse=0.0), Blur(ellipse=1.0), GaussianNoise(), PoissonNoise(), Sometimes(GaussianNoise(), 0.5)]
STEPS_FOR_8_BITS = [Jpeg(), OneOf((Jpeg(), Blur()))]
CODECS = [VideoCodec("libx264"), VideoCodec("libx265")]
CHAINS = [Chain((step,)) for step in STEPS] + [Chain(after=(step,)) for step in CODECS]
ALL = [*DEGRADATIONS, *CHAINS]
ALL_FOR_8_BITS = [*ALL, second_order(), *(Chain(after=(step,)) for step in STEPS_FOR_8_BITS)]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("degrade", ALL_FOR_8_BITS, ids=str)
def test_8_bit_frames_become_exactly_one_over_scale(degrade, scale):
    out = degrade(frames(), scale, rng())
    assert (out.dtype, tuple(out.shape)) == (torch.uint8, (7, 3, 36 // scale, 60 // scale))


@pytest.mark.parametrize("degrade", ALL, ids=str)
def test_16_bit_frames_look_like_8_bit_frames(degrade):
    shallow = frames()
    out = degrade((shallow.int() * 257).to(torch.uint16), 3, rng())
    assert (out.dtype, tuple(out.shape)) == (torch.uint16, (7, 3, 12, 20))
    # An encoder makes other decisions at another bit depth.
    tolerance = 8 if "VideoCodec" in str(degrade) else 0.6
    assert (out.double() / 257 - degrade(shallow, 3, rng()).double()).abs().mean() < tolerance


@pytest.mark.parametrize("degrade", ALL_FOR_8_BITS, ids=str)
def test_the_same_generator_gives_the_same_bits(degrade):
    original = frames()
    kept = original.clone()
    first = degrade(original, 3, rng(5))
    again = pickle.loads(pickle.dumps(degrade))(original.contiguous(), 3, rng(5))  # with another memory layout
    assert torch.equal(first, again)
    assert torch.equal(original, kept)


@pytest.mark.parametrize("degrade", [*ALL_FOR_8_BITS], ids=str)
def test_the_number_of_threads_changes_no_bit(degrade):
    threads = torch.get_num_threads()
    try:
        outs = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            outs.append(degrade(frames(180, 180), 3, rng(1)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])


@pytest.mark.parametrize("degrade", DEGRADATIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_flat_frames_stay_flat(degrade, dtype):
    for code in (0, 1, 100, torch.iinfo(dtype).max):
        flat = torch.full((2, 3, 24, 24), code, dtype=torch.int32).to(dtype)
        assert (degrade(flat, 3, rng()).int() == code).all()


def test_sizes_that_are_not_multiples_of_the_scale_are_refused():
    for degrade in (*DEGRADATIONS, Chain()):
        with pytest.raises(ValueError, match="frames are 35 x 60, expected multiples of the scale 3"):
            degrade(frames(35, 60), 3, rng())


def keys(x: np.ndarray) -> np.ndarray:
    x = abs(x)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def matlab_axis(length: int, scale: int) -> np.ndarray:
    """Weights of MATLAB's antialiased imresize("bicubic") inside the image."""
    centres = (np.arange(length // scale) + 0.5) * scale - 0.5
    weights = keys((np.arange(length) - centres[:, None]) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_bi_is_the_antialiased_bicubic_of_matlab(scale, dtype):
    source = frames(72, 96, dtype)
    down, across = matlab_axis(72, scale), matlab_axis(96, scale)
    exact = np.clip(np.einsum("ih,tchw,jw->tcij", down, source.double().numpy(), across), 0, torch.iinfo(dtype).max)
    # With 8 bits, values are also rounded and clamped between the passes.
    tolerance = {torch.uint8: 1.8, torch.uint16: 0.52}[dtype]
    assert np.abs(BI()(source, scale, rng()).double().numpy() - exact).max() < tolerance


def test_bi_equals_torch():
    expected = F.interpolate(frames(), (12, 20), mode="bicubic", antialias=True)
    assert torch.equal(BI()(frames(), 3, rng()), expected)


def test_bd_is_the_13_tap_gaussian_subsampled_from_the_first_pixel():
    bell = np.exp(-0.5 * (np.arange(-6, 7) / 1.6) ** 2)
    bell /= bell.sum()
    source = frames().double().numpy()
    padded = np.pad(source, ((0, 0), (0, 0), (6, 6), (6, 6)), mode="reflect")
    for axis in (-1, -2):
        padded = np.apply_along_axis(np.convolve, axis, padded, bell, mode="valid")
    assert np.abs(BD()(frames(), 3, rng()).double().numpy() - padded[..., ::3, ::3]).max() < 0.51


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_area_is_the_mean(scale):
    mean = frames().double().unflatten(2, (-1, scale)).unflatten(4, (-1, scale)).mean(dim=(3, 5))
    assert (Area()(frames(), scale, rng()).double() - mean).abs().max() < 0.51


def test_lanczos_equals_pillow():
    from PIL import Image

    images = frames().permute(0, 2, 3, 1).numpy()
    expected = [np.asarray(Image.fromarray(p).resize((20, 12), Image.Resampling.LANCZOS)) for p in images]
    ours = Lanczos()(frames(), 3, rng()).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours.astype(int) - np.stack(expected)).max() <= 1


def test_old_lanczos_at_scale_3_is_every_third_pixel():
    assert torch.equal(OldLanczos()(frames(), 3, rng()), frames()[..., 1::3, 1::3])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_old_lanczos_equals_cv2(scale):
    cv2 = pytest.importorskip("cv2")
    size = (60 // scale, 36 // scale)
    images = frames().permute(0, 2, 3, 1).numpy()
    expected = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LANCZOS4) for p in images])
    ours = OldLanczos()(frames(), scale, rng()).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours.astype(int) - expected).max() <= 1


def grey_frames(code: int, size: int = 96) -> Tensor:
    return torch.full((7, 3, size, size), code, dtype=torch.uint8)


def test_gaussian_noise_has_its_sigma_and_differs_in_every_frame():
    noise = GaussianNoise((10, 10), grey=0.0)(grey_frames(128), rng()).double() - 128
    assert noise.std() == pytest.approx(10, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert np.abs(np.corrcoef(noise[:, 0].flatten(1).numpy()) - np.eye(7)).max() < 0.05


def test_poisson_noise_grows_with_the_square_root_of_the_value():
    step = PoissonNoise((1.0, 1.0))
    for code in (25, 100, 169):
        assert (step(grey_frames(code), rng()).double() - code).std() == pytest.approx(np.sqrt(code), rel=0.03)


@pytest.mark.parametrize("step", [GaussianNoise((10, 10), grey=1.0), PoissonNoise((2, 2), grey=1.0)], ids=str)
def test_grey_noise_is_the_same_in_all_channels(step):
    out = step(grey_frames(128), rng())
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(out[:, 0], out[:, 2])


@pytest.mark.parametrize(("along", "across", "angle"), [(2.0, 2.0, 0.0), (3.0, 1.0, 0.0), (3.0, 1.0, np.pi / 4)])
def test_a_blur_kernel_has_its_standard_deviations(along, across, angle):
    kernel = gaussian_kernel(along, across, angle).astype(np.float64)
    radius = len(kernel) // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * u**2).sum() == pytest.approx(along**2, rel=0.04)
    assert (kernel * v**2).sum() == pytest.approx(across**2, rel=0.04)


def test_an_anisotropic_blur_of_equal_axes_is_the_isotropic_blur():
    isotropic, anisotropic = (
        Blur((1.5, 1.5), ellipse=probability)(frames(), rng()).int() for probability in (0.0, 1.0)
    )
    assert (isotropic - anisotropic).abs().max() <= 1


def test_random_resize_draws_larger_and_smaller_sizes():
    sizes = [tuple(RandomResize((0.5, 1.5))(frames(count=1), rng(seed)).shape[-2:]) for seed in range(40)]
    larger, smaller = (sum(compare(w, 60) for _, w in sizes) for compare in (int.__gt__, int.__lt__))
    assert (larger, smaller, 40 - larger - smaller) > (2, 15, 0)
    assert all(18 <= h <= 54 and 30 <= w <= 90 for h, w in sizes)


@pytest.mark.parametrize("step", [Jpeg((10, 10)), *(VideoCodec(c.codec, (40, 40)) for c in CODECS)], ids=str)
def test_compression_changes_frames_but_keeps_their_mean_colour(step):
    source = frames(90, 120)
    out = step(source, rng())
    difference = out.double() - source.double()
    assert difference.abs().mean() > 1
    assert difference.mean(dim=(0, 2, 3)).abs().max() < 3


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_a_codec_at_best_quality_restores_the_frames(codec, dtype):
    smooth = F.interpolate(frames(5, 7, dtype).float(), (33, 47), mode="bilinear").round().to(dtype)
    out = VideoCodec(codec.codec, (0, 0))(smooth, rng())
    assert (out.double() - smooth.double()).abs().mean() < 2 * torch.iinfo(dtype).max / 255


def test_jpeg_refuses_16_bits():
    with pytest.raises(ValueError, match=r"frames are torch\.uint16, but JPEG holds 8 bits"):
        Jpeg()(frames(dtype=torch.uint16), rng())
