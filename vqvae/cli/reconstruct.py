"""`vqvae reconstruct`: photographs in, what their codes keep of them out."""

from pathlib import Path
from typing import Annotated

import typer

from vqvae.cli.files import Job, photographs, plan, run, write_whole
from vqvae.cli.options import DEFAULT_MODEL, Decoder, Device, Force, Model, Out, Photos, load_tokenizer

GAP = 8  # white pixels between original and reconstruction


def reconstruct(
    photos: Photos,
    out: Out = Path(),
    compare: Annotated[
        bool, typer.Option("--compare", help="Put the original, on the left, beside its reconstruction.")
    ] = False,
    model: Model = DEFAULT_MODEL,
    decoder: Decoder = "faithful",
    device: Device = "cpu",
    force: Force = False,
) -> None:
    """Show what codes keep of photographs.

    Encodes and decodes each, writes PHOTO.png, and prints how near that is to the original: PSNR in dB and
    SSIM, both higher for better.

        vqvae reconstruct photo.jpg -o out
        vqvae reconstruct photos/ -o out --compare
    """
    jobs = plan(photographs(photos), out, ".png", force=force)

    import numpy as np  # noqa: PLC0415

    from vqvae.metrics import psnr, ssim  # noqa: PLC0415
    from vqvae.pixels import decode_image, encode_image  # noqa: PLC0415

    tokenizer = load_tokenizer(model, device, decoder=decoder)

    def work(job: Job) -> str:
        rgb = decode_image(job.input.read())
        grid = tokenizer.encode_rgb8(rgb)
        x_hat = tokenizer.decode_rgb8(grid)
        gap = np.full((grid.height, GAP, 3), 255, np.uint8)
        picture = np.concatenate([rgb, gap, x_hat], axis=1) if compare else x_hat
        write_whole(job.target, encode_image(picture))
        decibel, similarity = psnr(rgb, x_hat), ssim(rgb, x_hat)
        return ", ".join(
            [
                "equal" if decibel is None else f"{decibel:.2f} dB",
                "no SSIM (a side is under 11)" if similarity is None else f"SSIM {similarity:.4f}",
                f"{grid.bits_per_pixel:.3f} bits/pixel",
            ]
        )

    run(jobs, work)
