from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from synthgen.data.decode import MAX_PIXELS, BadImageError, decode, probe, strict_pillow
from synthgen.data.geometry import Geometry


def stream(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def at(height: int, width: int, channels: int) -> Geometry:
    return Geometry(height, width, channels)


RGB = noise(6, 5, 3)
GREY = noise(6, 5)


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601-2 luma, as Pillow documents its conversion to L."""
    return (rgb.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16


def test_pixels_at_their_own_size_are_exact():
    np.testing.assert_array_equal(decode(stream(Image.fromarray(RGB)), at(6, 5, 3)), RGB)
    np.testing.assert_array_equal(decode(stream(Image.fromarray(GREY)), at(6, 5, 1))[..., 0], GREY)


def test_grey_to_colour_and_back():
    as_rgb = decode(stream(Image.fromarray(GREY)), at(6, 5, 3))
    np.testing.assert_array_equal(as_rgb, np.repeat(GREY[..., None], 3, axis=2))
    np.testing.assert_array_equal(decode(stream(Image.fromarray(RGB)), at(6, 5, 1))[..., 0], luma(RGB))
    np.testing.assert_array_equal(decode(stream(Image.fromarray(as_rgb)), at(6, 5, 1))[..., 0], GREY)


def test_two_levels_become_black_and_white():
    bits = GREY > 127
    np.testing.assert_array_equal(decode(stream(Image.fromarray(bits)), at(6, 5, 1))[..., 0], bits * 255)


def test_sixteen_bits_are_scaled_not_cut():
    levels = np.array([[0, 257, 256, 128, 129, 65535, 65534, 32896]], np.uint16)
    image = Image.fromarray(levels)
    assert image.mode == "I;16"
    expected = np.rint(levels / 257)
    np.testing.assert_array_equal(decode(stream(image), at(1, 8, 1))[..., 0], expected)


def test_reals_in_a_tiff_are_read_from_0_to_1():
    values = np.array([[0.0, 0.5, 1.0, 0.25]], np.float32)
    np.testing.assert_array_equal(
        decode(stream(Image.fromarray(values), "TIFF"), at(1, 4, 1)).ravel(), [0, 128, 255, 64]
    )
    for wrong in ([[0.0, 2.0]], [[-0.5, 0.5]], [[np.nan, 0.5]]):
        with pytest.raises(BadImageError):
            decode(stream(Image.fromarray(np.array(wrong, np.float32)), "TIFF"), at(1, 2, 1))


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float) / 255
    return colour * share + 255 * (1 - share)


def test_transparency_is_laid_on_white():
    rgba = noise(4, 4, 4)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    found = decode(stream(Image.fromarray(rgba)), at(4, 4, 3))
    np.testing.assert_allclose(found, over_white(rgba[..., :3], rgba[..., 3:]), atol=1.01)
    assert (found[0, 0] == 255).all()
    np.testing.assert_array_equal(found[0, 1], rgba[0, 1, :3])
    la = noise(4, 4, 2)
    found = decode(stream(Image.fromarray(la)), at(4, 4, 1))
    np.testing.assert_allclose(found[..., 0], over_white(la[..., 0], la[..., 1]), atol=1.01)


def test_a_palette_is_looked_up_with_its_transparent_entry():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 0])
    image.putdata([0, 1, 2])
    found = decode(stream(image, transparency=2), at(1, 3, 3))
    assert found.tolist() == [[[10, 20, 30], [200, 100, 50], [255, 255, 255]]]


def test_cmyk_is_converted():
    image = Image.new("CMYK", (4, 4), (255, 0, 0, 0))  # all cyan
    red, green, blue = decode(stream(image, "TIFF"), at(4, 4, 3))[0, 0]
    assert red == 0
    assert (green, blue) == (255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_turns_the_image_upright(orientation, kind):
    blocks = np.kron(np.array([[0, 80, 160], [200, 40, 255]], np.uint8), np.ones((16, 16), np.uint8))
    image = Image.fromarray(np.repeat(blocks[..., None], 3, axis=2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    buffer = stream(image, kind, exif=exif, **options)
    reference = ImageOps.exif_transpose(Image.open(buffer)).convert("L")
    buffer.seek(0)
    header = probe(buffer)
    buffer.seek(0)
    pixels = decode(buffer, at(reference.height, reference.width, 1))
    assert (header.height, header.width) == (reference.height, reference.width)
    np.testing.assert_allclose(pixels[..., 0], np.asarray(reference), atol=1)


def test_broken_exif_does_not_spoil_good_pixels():
    buffer = stream(
        Image.fromarray(np.full((16, 16, 3), 77, np.uint8)), "JPEG", exif=b"Exif\0\0XX*\0garbage" + b"\xff" * 9
    )
    assert probe(buffer).height == 16
    buffer.seek(0)
    assert abs(int(decode(buffer, at(16, 16, 1)).mean()) - 77) <= 1


@pytest.mark.parametrize(("height", "width"), [(100, 100), (100, 37), (31, 90), (9, 9), (7, 50)])
@pytest.mark.parametrize("target", [(16, 16), (16, 32)])
def test_resizing_covers_and_crops_at_the_centre(height, width, target):
    image = Image.fromarray(noise(height, width, 3))
    reference = ImageOps.fit(image, (target[1], target[0]), Image.Resampling.BICUBIC, centering=(0.5, 0.5))
    found = decode(stream(image), at(*target, 3))
    np.testing.assert_allclose(found.astype(int), np.asarray(reference).astype(int), atol=1)


def test_shrinking_does_not_alias():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    found = decode(stream(Image.fromarray(stripes)), at(8, 8, 1))
    assert np.abs(found.astype(int) - 127).max() <= 12  # nearest neighbours would give all 0 or all 255


def test_large_jpegs_are_decoded_small_and_look_the_same():
    y, x = np.mgrid[0:512, 0:512]
    smooth = np.stack([(x // 2) % 256, (y // 2) % 256, (x + y) // 4], -1).astype(np.uint8)
    image = Image.fromarray(smooth)
    found = decode(stream(image, "JPEG", quality=95), at(32, 32, 3))
    reference = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(found.astype(int) - reference).mean() < 3


def png_promising(width: int, height: int) -> io.BytesIO:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8001, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side):
    assert side * side > MAX_PIXELS
    for read in (probe, lambda file: decode(file, at(8, 8, 1))):
        with strict_pillow(), pytest.raises(BadImageError, match="decompression bomb"):
            read(png_promising(side, side))


def test_an_image_under_the_limit_is_not_a_bomb():
    assert probe(png_promising(8000, 8000)).width == 8000


def test_strict_pillow_hides_nothing_outside():
    with strict_pillow():
        pass
    with pytest.warns(UserWarning, match="hello"):
        warnings.warn("hello", stacklevel=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_every_truncation_is_an_error_and_never_a_grey_area(kind):
    whole = stream(Image.fromarray(noise(32, 32, 3)), kind).getvalue()
    for length in (0, 1, 10, len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4):
        with pytest.raises(BadImageError), strict_pillow():
            decode(io.BytesIO(whole[:length]), at(32, 32, 3))


def test_altered_bytes_give_an_error_or_an_image_but_no_other_exception():
    generator = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"):
        whole = np.frombuffer(stream(Image.fromarray(noise(16, 16, 3)), kind).getvalue(), np.uint8)
        for _ in range(150):
            altered = whole.copy()
            altered[generator.integers(0, len(whole), 4)] = generator.integers(0, 256, 4)
            for read in (probe, lambda file: decode(file, at(16, 16, 3))):
                with strict_pillow(), suppress(BadImageError):
                    read(io.BytesIO(altered.tobytes()))


def test_postscript_is_not_run_whatever_it_is_called():
    with pytest.raises(BadImageError, match="not an image"):
        probe(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"))


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("1", (4, 4)), True),
        (Image.new("L", (4, 4)), True),
        (Image.new("LA", (4, 4)), True),
        (Image.fromarray(np.zeros((4, 4), np.uint16)), True),
        (Image.new("RGB", (4, 4)), False),
        (Image.new("RGBA", (4, 4)), False),
        (Image.new("RGB", (4, 4), (1, 2, 3)).convert("P"), False),
        (Image.new("L", (4, 4), 9).convert("P"), True),
    ],
)
def test_grey_is_told_from_the_mode_or_the_palette(image, grey):
    assert probe(stream(image)).grey is grey


def test_a_png_with_a_comment_bomb_is_an_error():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * (80 * 2**20), zip=True)
    with pytest.raises(BadImageError):
        decode(stream(Image.new("L", (4, 4)), pnginfo=info), at(4, 4, 1))
