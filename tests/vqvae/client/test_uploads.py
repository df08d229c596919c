"""What is sent of an image."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from vqvae.client.uploads import Upload, upload_of
from vqvae.errors import ImageError
from vqvae.pixels import decode_image


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_files_bytes_go_as_they_are(photo, tmp_path, kind):
    data = file_of(Image.fromarray(photo), kind)
    path = tmp_path / "photo"
    path.write_bytes(data)
    for image in (data, path, str(path)):
        assert upload_of(image) == Upload(data, f"image/{kind.lower()}")


def test_a_file_that_is_no_image_is_left_to_the_service(tmp_path):
    assert upload_of(b"no image") == Upload(b"no image", "application/octet-stream")
    assert upload_of(b"").num_pixels() == 0


def test_an_array_goes_as_a_png_of_the_same_pixels(photo):
    upload = upload_of(photo[::-1])
    assert upload.media_type == "image/png"
    assert np.array_equal(decode_image(upload.data), photo[::-1])


def test_a_pil_image_goes_upright_in_srgb_without_alpha(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = file_of(Image.fromarray(photo), "PNG", exif=exif)
    assert np.array_equal(decode_image(upload_of(Image.open(io.BytesIO(data))).data), np.rot90(photo, -1))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    profiled = file_of(Image.fromarray(photo), "PNG", icc_profile=lab.tobytes())
    clear = Image.new("RGBA", (3, 2), (10, 20, 30, 0))
    for image in (Image.open(io.BytesIO(profiled)), clear, Image.new("L", (5, 4), 7)):
        sent = decode_image(upload_of(image).data)
        again = io.BytesIO(file_of(image, "PNG", icc_profile=image.info.get("icc_profile")))
        assert np.array_equal(sent, decode_image(again.getvalue()))
    assert np.all(decode_image(upload_of(clear).data) == 255)


def test_a_pil_image_is_left_as_it_was(photo):
    image = Image.fromarray(photo)
    upload_of(image)
    assert np.array_equal(np.asarray(image), photo)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "pixels must be uint8 of shape"),
        (np.zeros((4, 4), np.uint8), "pixels must be uint8 of shape"),
        (np.zeros((0, 4, 3), np.uint8), "pixels must be uint8 of shape"),
        ("nowhere/photo.jpg", "nowhere/photo.jpg cannot be read: No such file"),
        ("a\0b", "cannot be read: embedded null"),
        (Image.new("F", (4, 4)), "floating-point"),
        ([b"", b""], "got list; for several there is encode_many"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_image_is_an_image_error(image, message):
    with pytest.raises(ImageError, match=message):
        upload_of(image)


def test_pixels_are_counted_by_the_header_alone(photo, png):
    assert upload_of(photo).num_pixels() == 45 * 70
    assert upload_of(png[:60]).num_pixels() == 45 * 70
    assert upload_of(png[:20]).num_pixels() == 0
