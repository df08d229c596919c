"""Small image files of every listed type: each mode and variant that has a way of its own through a decoder.

What Pillow does not write comes from tifffile or is put together here.
"""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tifffile  # comes with scikit-image
from PIL import ExifTags, Image, ImageCms


def image_files() -> dict[str, bytes]:
    """The files by type, mode and variant."""
    y, x = np.mgrid[:30, :40]
    values = np.stack([6 * x, 8 * y, 3 * x + 4 * y], axis=-1).clip(0, 255).astype(np.uint8)
    rgb = Image.fromarray(values)
    line, grey, palette, ink = rgb.convert("1"), rgb.convert("L"), rgb.quantize(16), rgb.convert("CMYK")
    lab = rgb.convert("LAB")
    lab.info["icc_profile"] = _undated(lab.info["icc_profile"])
    alpha = Image.merge("RGBA", (*rgb.split(), grey))
    deep = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    meta = {"exif": exif, "icc_profile": _undated(profile)}
    frames = {"save_all": True, "append_images": [rgb.rotate(180), rgb.rotate(90)]}
    variants: list[tuple[str, Iterable[Image.Image], dict[str, Any]]] = [
        ("JPEG", [rgb, grey, ink], {}),
        ("JPEG", [rgb, ink], {"progressive": True}),
        ("JPEG", [rgb], {"subsampling": 0, **meta}),
        ("JPEG", [rgb], {"restart_marker_blocks": 2}),
        ("PNG", [line, grey, grey.convert("LA"), palette, rgb, alpha, deep], {}),
        ("PNG", [deep], {"transparency": 257}),
        ("PNG", [rgb], {"transparency": (0, 0, 0)}),
        ("PNG", [palette], {"transparency": b"\0\x80", "bits": 4}),
        ("PNG", [rgb], meta),
        ("PNG", [rgb], frames),
        ("WEBP", [rgb, alpha], {}),
        ("WEBP", [rgb, alpha], {"lossless": True}),
        ("WEBP", [rgb], meta),
        ("WEBP", [alpha], frames),
        ("GIF", [palette, grey], {}),
        ("GIF", [palette], {"transparency": 3, "interlace": 0}),
        ("GIF", [palette], frames),
        ("BMP", [line, grey, palette, rgb, alpha], {}),
        ("TIFF", [line, grey, palette, rgb, alpha, ink, deep, lab], {}),
        *(("TIFF", [rgb], {"compression": way}) for way in ("tiff_lzw", "tiff_deflate", "lzma", "jpeg")),
        *(("TIFF", [line], {"compression": way}) for way in ("group3", "group4", "packbits")),
        ("TIFF", [deep], {"compression": "tiff_lzw"}),
        ("TIFF", [rgb], {"big_tiff": True}),
        ("TIFF", [rgb], meta),
        ("TIFF", [rgb], frames),
    ]
    files = {"PNG interlaced": _interlaced_png(), "PNG RGB 16": _deep_png(), "BMP run-length": _packed_bmp()}
    for kind, images, options in variants:
        told = [f"{key}={value}" if isinstance(value, str) else key for key, value in options.items()]
        for image in images:
            file = io.BytesIO()
            image.save(file, kind, **options)
            files[" ".join([kind, image.mode, *told])] = file.getvalue()
    for name, options in {
        "tiles": {"tile": (16, 16)},
        "packed tiles": {"tile": (16, 16), "compression": "zlib", "predictor": True},
        "strips": {"rowsperstrip": 7, "byteorder": ">"},
    }.items():
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb", **options)
        files[f"TIFF {name}"] = file.getvalue()
    return files


def _undated(profile: bytes) -> bytes:
    """A colour profile without the time at which it was made, for the same file on any day."""
    return profile[:24] + bytes(12) + profile[36:]


def _png(side: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _interlaced_png() -> bytes:
    """Grey, 8x8, in the seven passes of the PNG specification's 8.2, which Pillow does not write."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in grey[y::dy, x::dx]]
    return _png(8, 8, 0, b"".join(rows), interlaced=True)


def _deep_png() -> bytes:
    """RGB of 16 bits, 4x4."""
    return _png(4, 16, 2, (b"\0" + bytes(range(24))) * 4)


def _packed_bmp() -> bytes:
    """Run-length encoded, 16x4: a run a row."""
    data = b"".join(bytes([16, 50 * row, 0, 0]) for row in range(4)) + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, 16, 4, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data
