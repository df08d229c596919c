import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from vqvae.errors import ConfigError, ImageError, LimitError, UnsupportedImageError
from vqvae.pixels import (
    MEDIA_TYPES,
    decode_image,
    encode_image,
    pad_to_multiple,
    read_size,
    sniff,
    to_rgb8,
)

WHITE, RED, BLUE = [255, 255, 255], [255, 0, 0], [0, 0, 255]
LISTED = list(MEDIA_TYPES)

rgb8 = st_numpy.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))


def saved(image, file_format, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def photo(width=40, height=30):
    """A smooth picture with no symmetry, that lossy formats keep well."""
    y, x = np.mgrid[:height, :width]
    ramps = [255 * x / width, 255 * y / height, 255 * (x + 2 * y) / (width + 2 * height)]
    return np.stack(ramps, axis=-1).astype(np.uint8)


def sample_files():
    image = Image.fromarray(photo())
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(photo()[..., 0]))
    return {
        "jpeg": saved(image, "JPEG"),
        "progressive jpeg": saved(image, "JPEG", progressive=True, exif=image.getexif()),
        "cmyk jpeg": saved(image.convert("CMYK"), "JPEG"),
        "png": saved(image, "PNG"),
        "palette png": saved(image.quantize(16), "PNG", transparency=b"\0\x80"),
        "webp": saved(image, "WEBP"),
        "lossless webp": saved(alpha, "WEBP", lossless=True),
        "gif": saved(image, "GIF"),
        "animated gif": saved(image, "GIF", save_all=True, append_images=[image.rotate(180)]),
        "bmp": saved(image, "BMP"),
        "tiff": saved(image, "TIFF"),
        "deflate tiff": saved(alpha, "TIFF", compression="tiff_deflate"),
        "lzw tiff": saved(image, "TIFF", compression="tiff_lzw"),
        "jpeg tiff": saved(image, "TIFF", compression="jpeg"),
    }


SAMPLES = sample_files()


# Types and limits


@pytest.mark.parametrize("name", LISTED)
def test_a_file_of_each_listed_type_is_sniffed_and_decoded(name):
    data = saved(Image.fromarray(photo()), name)
    assert sniff(data) == MEDIA_TYPES[name]
    rgb = decode_image(data)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.shape == (30, 40, 3)
    tolerance = {"JPEG": 12, "WEBP": 16, "GIF": 30}.get(name, 0)
    assert np.abs(rgb.astype(int) - photo()).max() <= tolerance


@pytest.mark.parametrize("name", ["PPM", "TGA", "ICO", "JPEG2000", "SGI", "PCX"])
def test_no_other_decoder_of_pillow_can_be_reached(name):
    data = saved(Image.fromarray(photo()), name)
    Image.open(io.BytesIO(data)).load()  # Pillow itself would read it
    with pytest.raises(UnsupportedImageError, match="must be a JPEG, PNG, WebP, GIF, BMP or TIFF"):
        decode_image(data)


@pytest.mark.parametrize("data", [b"", b"\xff", b"%!PS-Adobe", b"RIFF\x10\0\0\0WAVE", b"<svg/>"])
def test_bytes_of_no_listed_type_are_unsupported(data):
    with pytest.raises(UnsupportedImageError):
        sniff(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_size_is_known_by_the_header_alone(name):
    assert read_size(SAMPLES[name]) == (40, 30)


def test_the_size_of_what_is_no_image_is_an_error():
    with pytest.raises(UnsupportedImageError):
        read_size(b"%PDF")
    with pytest.raises(ImageError):
        read_size(SAMPLES["png"][:20])


@pytest.mark.parametrize("name", SAMPLES)
def test_the_limit_is_the_number_of_pixels_in_the_header(name):
    assert decode_image(SAMPLES[name], max_pixels=1200).shape == (30, 40, 3)
    with pytest.raises(LimitError, match="image is 40x30 = 1200 pixels; the limit is 1199") as caught:
        decode_image(SAMPLES[name], max_pixels=1199)
    assert (caught.value.limit, caught.value.actual) == (1199, 1200)


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\1\0IDAT"


def bomb(name, side):
    """A small file whose header states a side x side picture."""
    if name == "PNG":
        return png_header(side, side)
    data = bytearray(saved(Image.new("RGB", (1, 1)), name))
    match name:
        case "GIF":
            data[6:10] = struct.pack("<HH", side, side)
        case "BMP":
            data[18:26] = struct.pack("<ii", side, side)
        case "WEBP":
            data[12:12] = b"VP8X" + struct.pack("<II", 10, 0) + (side - 1).to_bytes(3, "little") * 2
        case "JPEG":
            frame = data.index(b"\xff\xc0")
            data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(data)


@pytest.mark.parametrize("name", ["PNG", "GIF", "BMP", "WEBP", "JPEG"])
def test_a_bomb_is_refused_by_its_header_without_a_warning(name):
    message = "^image is 20000x20000 = 400000000 pixels; the limit is 16777216$"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LimitError, match=message):
            decode_image(bomb(name, 20000), max_pixels=16777216)


def test_a_tiff_bomb_in_its_tiles_is_refused():
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, photo(), tile=(64, 64), photometric="rgb", compression="zlib")
    np.testing.assert_array_equal(decode_image(file.getvalue(), max_pixels=64 * 64), photo())
    with pytest.raises(LimitError, match="tiles of 64x64 = 4096 pixels; the limit is 4095"):
        decode_image(file.getvalue(), max_pixels=4095)


def test_pillows_own_limit_is_named_where_it_is_met(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert decode_image(SAMPLES["png"]).shape == (30, 40, 3)
    with pytest.raises(ImageError, match=r"over the 1000 pixels that Pillow reads of its type"):
        decode_image(SAMPLES["webp"])


# Damage


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_short_is_an_image_error_or_a_picture(name):
    data = SAMPLES[name]
    for length in {*range(0, len(data), max(1, len(data) // 80)), *range(len(data) - 12, len(data))}:
        try:
            assert decode_image(data[:length]).shape == (30, 40, 3)
        except ImageError:
            continue
        assert length > len(data) // 3, "a third of a file is no picture"


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(SAMPLES)),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6
    ),
)
def test_a_file_with_changed_bytes_is_an_error_of_ours_or_a_picture(name, changes):
    data = bytearray(SAMPLES[name])
    for where, change in changes:
        data[int(len(data) * where**2)] ^= change  # squared: headers are hit more often
    try:
        rgb = decode_image(bytes(data), max_pixels=100_000)
    except (ImageError, LimitError):
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3


def test_the_error_for_a_damaged_file_does_not_echo_it():
    data = SAMPLES["png"][:33] + b"secretpayload" * 20
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert "secret" not in str(caught.value)


def test_a_picture_without_pixels_is_an_image_error():
    with pytest.raises(ImageError):
        decode_image(png_header(0, 5))
    with pytest.raises(ImageError):
        to_rgb8(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("name", LISTED)
def test_one_pixel_is_a_picture(name):
    data = saved(Image.new("RGB", (1, 1), (255, 255, 255)), name)
    np.testing.assert_array_equal(decode_image(data), [[WHITE]])


def test_a_lazily_opened_damaged_file_is_an_image_error():
    with Image.open(io.BytesIO(SAMPLES["png"][:-40])) as image, pytest.raises(ImageError):
        to_rgb8(image)


# First frames


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_the_first_frame_counts(name):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    data = saved(frames[0], name, save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    assert np.abs(decode_image(data).astype(int) - RED).max() <= 4


def test_a_phones_jpeg_decodes_whatever_its_list_of_pictures_says():
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    data = bytearray(saved(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    start = data.index(b"MPF\0") + 4
    data[start : start + 40] = b"\xff" * 40
    assert np.abs(decode_image(bytes(data)).astype(int) - RED).max() <= 4


# Orientation

UPRIGHT = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
STORED = {  # EXIF 2.32, tag 0x0112: the visual side that the stored row 0 and column 0 are
    1: UPRIGHT,  # top, left
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.swapaxes(0, 1),  # left, top
    6: UPRIGHT[:, ::-1].swapaxes(0, 1),  # right, top
    7: UPRIGHT[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: UPRIGHT[::-1].swapaxes(0, 1),  # left, bottom
}


def oriented(orientation):
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return image, exif


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("name", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_every_orientation_stands_upright(name, options, orientation):
    image, exif = oriented(orientation)
    np.testing.assert_array_equal(decode_image(saved(image, name, exif=exif, **options)), UPRIGHT)


@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_of_a_compressed_tiff_stands_upright(orientation):
    image, exif = oriented(orientation)
    np.testing.assert_array_equal(
        decode_image(saved(image, "TIFF", exif=exif, compression="tiff_lzw")), UPRIGHT
    )


def test_a_jpeg_from_a_tilted_phone_stands_upright():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = saved(Image.fromarray(photo()).rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    assert np.abs(decode_image(data).astype(int) - photo()).max() <= 12


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_damaged_exif_does_not_cost_the_picture(exif):
    data = saved(Image.fromarray(photo()), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(data), photo())


def test_orientation_outside_its_range_is_passed_over():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    data = saved(Image.fromarray(photo()), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(data), photo())


# Modes


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("1", 255, WHITE),
        ("L", 77, [77, 77, 77]),
        ("LA", (77, 255), [77, 77, 77]),
        ("LA", (100, 51), [224, 224, 224]),  # 100 * 0.2 + 255 * 0.8
        ("La", (20, 51), [224, 224, 224]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBX", (1, 2, 3, 0), [1, 2, 3]),
        ("RGBA", (100, 0, 255, 51), [224, 204, 255]),
        ("RGBa", (20, 0, 51, 51), [224, 204, 255]),
        ("CMYK", (255, 0, 0, 0), [0, 255, 255]),
        ("YCbCr", (76, 85, 255), [254, 0, 0]),  # JFIF: red is 76.245, 84.97, 255.5
        ("HSV", (0, 255, 255), RED),
        ("I;16", 257 * 77, [77, 77, 77]),
        ("I;16L", 257 * 77, [77, 77, 77]),
        ("I;16B", 257 * 77, [77, 77, 77]),
        ("I;16N", 257 * 77, [77, 77, 77]),
        ("I", 257 * 77, [77, 77, 77]),
    ],
)
def test_every_mode_becomes_rgb(mode, pixel, expected):
    image = Image.new(mode, (2, 3), pixel)
    rgb = to_rgb8(image)
    assert rgb.shape == (3, 2, 3)
    np.testing.assert_array_equal(rgb, np.broadcast_to(expected, (3, 2, 3)))


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "int32"])
def test_sixteen_bits_are_scaled_to_the_nearest(dtype):
    values = np.array([[0, 128, 129, 257, 385, 386, 32767, 65406, 65407, 65535]])
    expected = np.round(values / 257)
    grey = to_rgb8(Image.fromarray(values.astype(dtype)))
    np.testing.assert_array_equal(grey, np.repeat(expected[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    ("name", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_deflate"})]
)
def test_sixteen_bit_files_are_scaled_not_clipped(name, options):
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    rgb = decode_image(saved(Image.fromarray(values), name, **options))
    np.testing.assert_array_equal(rgb[..., 1], np.arange(256).reshape(16, 16))


def test_modes_of_unknown_scale_are_errors_that_say_so():
    with pytest.raises(ImageError, match="floating-point"):
        to_rgb8(Image.new("F", (1, 1), 0.5))
    with pytest.raises(ImageError, match="from -1 to 70000; only 16 bits"):
        to_rgb8(Image.fromarray(np.array([[-1, 70000]], dtype=np.int32)))
    with pytest.raises(ImageError, match="floating-point"):
        decode_image(saved(Image.new("F", (2, 2), 0.5), "TIFF"))


def test_a_cmyk_jpeg_is_not_a_negative():
    data = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(decode_image(data).astype(int) - RED).max() <= 4


# Alpha


@given(rgba=st_numpy.arrays(np.uint8, (4, 4, 4)), background=st.tuples(*[st.integers(0, 255)] * 3))
def test_alpha_is_laid_over_the_background_to_the_nearest(rgba, background):
    colour, alpha = rgba[..., :3].astype(float), rgba[..., 3:] / 255
    exact = colour * alpha + np.array(background) * (1 - alpha)
    rgb = to_rgb8(Image.fromarray(rgba), background)
    assert np.abs(rgb - exact).max() <= 0.5 + 1e-9


def palette_image():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.putdata([0, 1, 2])
    return image


def test_palettes_may_be_transparent_by_entry_or_by_key():
    half_red = [255, 127, 127]  # 255 * 127 / 255
    by_entry = saved(palette_image(), "PNG", transparency=bytes([128, 255, 0]))
    np.testing.assert_array_equal(decode_image(by_entry), [[half_red, BLUE, WHITE]])
    by_key = saved(palette_image(), "GIF", transparency=0)
    np.testing.assert_array_equal(decode_image(by_key), [[WHITE, BLUE, [0, 255, 0]]])
    opaque = saved(palette_image(), "PNG")
    np.testing.assert_array_equal(decode_image(opaque), [[RED, BLUE, [0, 255, 0]]])
    np.testing.assert_array_equal(to_rgb8(palette_image().convert("PA")), [[RED, BLUE, [0, 255, 0]]])


@pytest.mark.parametrize(
    ("image", "key", "expected"),
    [
        (Image.fromarray(np.array([[5, 6]], np.uint8)), 5, [WHITE, [6, 6, 6]]),
        (Image.fromarray(np.array([[257, 258]], np.uint16)), 258, [[1, 1, 1], WHITE]),
        (Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], np.uint8)), (1, 2, 3), [WHITE, [1, 2, 4]]),
    ],
)
def test_a_png_may_name_one_colour_as_transparent(image, key, expected):
    np.testing.assert_array_equal(decode_image(saved(image, "PNG", transparency=key)), [expected])


# Colour profiles


def tag(kind, body):
    return kind.ljust(4) + bytes(4) + body


def profile(space, pcs, kind, tags):
    """An ICC version 2 profile (ICC.1:2001-04) with these tags."""
    white = tag(b"XYZ", struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249))))
    tags = {b"wtpt": white, **tags}
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    size = 128 + len(table) + len(bodies)
    header = struct.pack(">I4sI4s4s4s12x4s", size, b"", 0x02400000, kind, space, pcs, b"acsp").ljust(
        68, b"\0"
    )
    header += struct.pack(">3i", 63190, 65536, 54061)  # D50
    return header.ljust(128, b"\0") + table + bodies


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RED_IS_GREEN = SRGB.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
LINEAR_GREY = profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": tag(b"curv", struct.pack(">I", 0))})


def ink_profile():
    """A CMYK profile whose C, M and Y print nothing."""
    ramp = bytes(range(256))
    corners = b"".join(
        bytes([0 if ink & 1 else 255, 128, 128]) for ink in range(16)
    )  # L, a, b; K runs fastest
    identity = struct.pack(">9i", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = bytes([4, 3, 2, 0]) + identity + ramp * 4 + corners + ramp * 3
    return profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": tag(b"mft1", lut)})


@pytest.mark.parametrize(
    ("name", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})]
)
def test_a_profile_is_applied_to_the_colours(name, options):
    data = saved(Image.new("RGB", (16, 16), (200, 100, 50)), name, icc_profile=RED_IS_GREEN, **options)
    assert np.abs(decode_image(data).astype(int) - [100, 200, 50]).max() <= 2


def test_a_profile_leaves_alpha_alone():
    image = Image.new("RGBA", (1, 1), (200, 100, 50, 51))
    rgb = decode_image(saved(image, "PNG", icc_profile=RED_IS_GREEN), background=(0, 0, 0))
    assert np.abs(rgb.astype(int) - [20, 40, 10]).max() <= 1


def test_a_profile_is_applied_to_palettes_and_to_grey():
    data = saved(palette_image(), "PNG", icc_profile=RED_IS_GREEN)
    assert np.abs(decode_image(data).astype(int) - [[[0, 255, 0], BLUE, RED]]).max() <= 1
    # The exchanged primaries still add up to white, so grey stays grey.
    data = saved(Image.new("L", (1, 1), 99), "PNG", icc_profile=RED_IS_GREEN)
    assert np.abs(decode_image(data).astype(int) - 99).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile_is_applied_to_grey(mode):
    image = Image.new(mode, (1, 1), {"L": 128, "LA": (128, 255), "I;16": 128 * 257}[mode])
    # sRGB of linear 128 / 255 is 255 * (1.055 * 0.50196 ** (1 / 2.4) - 0.055) = 188.0
    assert np.abs(decode_image(saved(image, "PNG", icc_profile=LINEAR_GREY)).astype(int) - 188).max() <= 1


def test_a_cmyk_profile_is_applied_to_cmyk():
    paper = Image.new("CMYK", (16, 16), (255, 128, 0, 0))
    assert decode_image(saved(paper, "TIFF", icc_profile=ink_profile())).min() >= 254
    black = Image.new("CMYK", (16, 16), (0, 0, 0, 255))
    assert decode_image(saved(black, "TIFF", icc_profile=ink_profile())).max() <= 1
    assert decode_image(saved(paper, "JPEG", icc_profile=ink_profile())).min() >= 253


def test_a_lab_profile_is_applied_to_lab():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    grey = Image.new("LAB", (1, 1), (137, 128, 128))  # L* 53.7 is sRGB 128.5
    assert np.abs(decode_image(saved(grey, "TIFF", icc_profile=lab)) - 128.5).max() <= 1.5
    assert np.abs(decode_image(saved(grey, "TIFF")) - 128.5).max() <= 1.5


@pytest.mark.parametrize(
    ("mode", "icc_profile"),
    [
        ("RGB", b"no profile"),
        ("RGB", SRGB[:200]),
        ("RGB", LINEAR_GREY),
        ("RGB", ink_profile()),
        ("L", ink_profile()),
        ("CMYK", RED_IS_GREEN),
        ("RGB", profile(b"RGB ", b"XYZ ", b"mntr", {})),
    ],
)
def test_a_profile_that_cannot_be_used_is_ignored(mode, icc_profile):
    image = Image.fromarray(photo()).convert(mode)
    untagged = to_rgb8(image)
    np.testing.assert_array_equal(decode_image(saved(image, "TIFF", icc_profile=icc_profile)), untagged)


def test_pixels_without_a_profile_are_taken_as_they_are():
    every_level = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(every_level), "PNG")), every_level)


# The caller's image, and threads


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "CMYK", "RGB", "RGBA", "RGBa", "I;16", "I"]
)
def test_the_given_image_is_left_as_it_was(mode):
    image = Image.new(mode, (3, 2))
    image.getexif()[ExifTags.Base.Orientation] = 6
    image.info.update(icc_profile=SRGB)
    if mode in {"1", "L", "P", "I", "I;16"}:
        image.info["transparency"] = 0
    before = image.tobytes(), image.size, dict(image.info), dict(image.getexif()), image.getpalette("RGBA")
    to_rgb8(image)[:] = 9
    after = image.tobytes(), image.size, dict(image.info), dict(image.getexif()), image.getpalette("RGBA")
    assert before == after


def test_threads_decode_as_one_does():
    files = [saved(Image.fromarray(photo()), name, icc_profile=RED_IS_GREEN) for name in LISTED] * 8
    with ThreadPoolExecutor(8) as pool:
        for alone, together in zip(map(decode_image, files), pool.map(decode_image, files), strict=True):
            np.testing.assert_array_equal(alone, together)


# Writing


@given(rgb=rgb8)
def test_png_and_webp_give_the_same_pixels_back(rgb):
    np.testing.assert_array_equal(decode_image(encode_image(rgb)), rgb)
    np.testing.assert_array_equal(decode_image(encode_image(rgb, "image/webp")), rgb)


@pytest.mark.parametrize("media_type", ["image/png", "image/webp", "image/jpeg"])
@pytest.mark.parametrize("quality", [None, 80])
def test_the_same_pixels_give_the_same_file(media_type, quality):
    data = encode_image(photo(), media_type, quality)
    assert sniff(data) == media_type
    assert data == encode_image(np.asfortranarray(photo()), media_type, quality)
    assert np.abs(decode_image(data).astype(int) - photo()).max() <= 16


@pytest.mark.parametrize("media_type", ["image/webp", "image/jpeg"])
def test_less_quality_is_fewer_bytes(media_type):
    assert len(encode_image(photo(), media_type, 10)) < len(encode_image(photo(), media_type, 95))


@pytest.mark.parametrize("quality", [None, 30])
def test_jpeg_keeps_colour_at_full_resolution(quality):
    with Image.open(io.BytesIO(encode_image(photo(), "image/jpeg", quality))) as image:
        assert JpegImagePlugin.get_sampling(image) == 0


def test_what_cannot_be_written_is_an_error_that_names_the_way_out():
    with pytest.raises(UnsupportedImageError, match="image/png, image/webp, image/jpeg; got 'image/gif'"):
        encode_image(photo(), "image/gif")
    with pytest.raises(ConfigError, match=r"quality must lie in \[1, 100\], got 0"):
        encode_image(photo(), "image/jpeg", 0)
    with pytest.raises(LimitError, match="20000x1; image/webp holds at most 16383 pixels a side"):
        encode_image(np.zeros((1, 20000, 3), np.uint8), "image/webp")
    with pytest.raises(ImageError, match=r"got float64 of shape \(2, 2, 3\)"):
        encode_image(np.zeros((2, 2, 3)))
    with pytest.raises(ImageError, match=r"got uint8 of shape \(2, 2\)"):
        encode_image(np.zeros((2, 2), np.uint8))


# Padding


@given(rgb=rgb8, multiple=st.integers(1, 9))
def test_padding_grows_right_and_bottom_by_the_edge(rgb, multiple):
    height, width = rgb.shape[:2]
    padded = pad_to_multiple(rgb, multiple)
    assert padded.shape == (-(-height // multiple) * multiple, -(-width // multiple) * multiple, 3)
    assert padded.flags.c_contiguous
    np.testing.assert_array_equal(padded[:height, :width], rgb)
    rows, columns = np.mgrid[: padded.shape[0], : padded.shape[1]]
    np.testing.assert_array_equal(padded, rgb[rows.clip(max=height - 1), columns.clip(max=width - 1)])
