"""`vqvae reconstruct`: photographs in, what their codes keep of them out."""

from typing import Annotated

import typer

from vqvae.cli.codes import facts_of
from vqvae.cli.files import Done, Job, deliver, format_of, plan, run
from vqvae.cli.inputs import photographs
from vqvae.cli.options import (
    DEFAULT_MODEL,
    Decoder,
    Device,
    Force,
    Json,
    Model,
    Out,
    Photos,
    load_tokenizer,
)

FORMATS = {"png": (".png",)}
GAP = 8  # white pixels between original and reconstruction


def reconstruct(
    photos: Photos,
    out: Out = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Put the original, on the left, beside its reconstruction.")
    ] = False,
    model: Model = DEFAULT_MODEL,
    decoder: Decoder = "faithful",
    device: Device = "cpu",
    force: Force = False,
    json_: Json = False,
) -> None:
    """Show what codes keep of photographs.

    Encodes and decodes each, writes PHOTO.png, and prints how near that is to the original: PSNR in dB and
    SSIM, both higher for better.

        vqvae reconstruct photo.jpg -o out
        vqvae reconstruct photos/ -o out --compare
    """
    suffixes = FORMATS[format_of(out, None, FORMATS)]
    jobs = plan(photographs(photos), out, suffixes, force=force, as_json=json_)

    import numpy as np  # noqa: PLC0415

    from vqvae.metrics import psnr, ssim  # noqa: PLC0415
    from vqvae.pixels import decode_image, encode_image  # noqa: PLC0415

    tokenizer = load_tokenizer(model, device, decoder=decoder)

    def work(job: Job) -> Done:
        photo = job.input.read()
        rgb = decode_image(photo)
        grid = tokenizer.encode_rgb8(rgb)
        x_hat = tokenizer.decode_rgb8(grid)
        gap = np.full((grid.height, GAP, 3), 255, np.uint8)
        picture = encode_image(np.concatenate([rgb, gap, x_hat], axis=1) if compare else x_hat)
        deliver(picture, job.target)
        decibel, similarity = psnr(rgb, x_hat), ssim(rgb, x_hat)
        return Done(
            ", ".join(
                [
                    "equal" if decibel is None else f"{decibel:.2f} dB",
                    "no SSIM (a side is under 11)" if similarity is None else f"SSIM {similarity:.4f}",
                    f"{grid.bits_per_pixel:.3f} bits/pixel",
                ]
            ),
            {
                "input_bytes": len(photo),
                "output_bytes": len(picture),
                **facts_of(grid),
                "decoder": decoder,
                "psnr": decibel,
                "ssim": similarity,
            },
        )

    run(jobs, work, as_json=json_)
