"""`vqvae export-onnx`: a model in, ONNX files out."""

from pathlib import Path
from typing import Annotated

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.files import check_folder, write_whole
from vqvae.cli.options import Decoder, load_tokenizer
from vqvae.cli.terminal import bytes_text, say


def export_onnx(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="The model, by name or by its folder.", autocompletion=model_names
        ),
    ],
    out_dir: Annotated[
        Path,
        typer.Argument(metavar="OUT_DIR", help="Folder for the files, made if missing; replaces older ones."),
    ],
    decoder: Decoder = "faithful",
) -> None:
    """Write a model as ONNX files, for runtimes without torch.

    encoder.onnx turns `images` (B, 3, H, W), float32 in [-1, 1], into `codes` (B, h, w), int64, the search
    included; decoder.onnx turns codes into images. Batch, height and width are free, but for images' sides,
    which are multiples of f. The files' metadata have the model's name, fingerprint, K and f. Another decoder
    than `faithful` goes into decoder-NAME.onnx.

        vqvae export-onnx photo-f8 onnx/
        vqvae export-onnx runs/mine onnx/ --decoder vivid
    """
    check_folder(out_dir)

    from vqvae.onnx import decoder_to_onnx, encoder_to_onnx  # noqa: PLC0415

    tokenizer = load_tokenizer(model, "cpu", decoder=decoder)
    name = "decoder" if decoder == "faithful" else f"decoder-{decoder}"
    for part, to_onnx in (("encoder", encoder_to_onnx), (name, decoder_to_onnx)):
        file = to_onnx(tokenizer)
        target = out_dir / f"{part}.onnx"
        write_whole(target, file)
        say(f"{target}  {bytes_text(len(file))}")
