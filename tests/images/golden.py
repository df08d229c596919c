"""Writes golden-MODEL.npz, what each shipped model makes of the images here: run it once for new weights.

For every image NAME a file holds NAME.codes, (h, w), and NAME.margins, float32 (h, w): how much farther, in
squared distance, the second-best code vector is than the best. Rounding differs between machines by less than
nearly all of the margins, and there codes must not.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vqvae import Tokenizer
from vqvae.quantizers import flatten

HERE = Path(__file__).parent


def margins_of(tokenizer, rgb):
    """Of an image (H, W, 3) with sides that are multiples of f: float32 (h, w)."""
    images = torch.tensor(rgb)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        z_e = tokenizer.encoder(images)
    distances = torch.cdist(flatten(z_e).double(), tokenizer.quantizer.codebook.double()).square()
    best, second = distances.topk(2, largest=False).values.unbind(1)
    return (second - best).float().view(*z_e.shape[2:]).numpy()


def main():
    for card in sorted((HERE.parents[1] / "weights").glob("*/model.json")):
        write_golden(Tokenizer.load(card.parent))


def write_golden(tokenizer):
    """Write the file of one model."""
    model, f = tokenizer.space.model, tokenizer.space.downsample_factor
    golden = {"fingerprint": np.array(tokenizer.space.fingerprint)}
    for path in sorted(HERE.glob("*.png")):
        rgb = np.asarray(Image.open(path).convert("RGB"))
        height, width = (side // f * f for side in rgb.shape[:2])
        rgb = np.ascontiguousarray(rgb[:height, :width])
        golden[f"{path.stem}.codes"] = tokenizer.encode(rgb).codes
        golden[f"{path.stem}.margins"] = margins_of(tokenizer, rgb)
        smallest = golden[f"{path.stem}.margins"].min()
        print(f"{model}, {path.name}: smallest margin {smallest:.1e}")  # noqa: T201 - this is a command
    np.savez_compressed(HERE / f"golden-{model}.npz", **golden)


if __name__ == "__main__":
    main()
