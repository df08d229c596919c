"""The README of a set of codes: for people, and for Hugging Face `datasets`, which finds the rows by it."""

from vqvae.bulk.manifest import Manifest
from vqvae.bulk.plan import SUFFIXES
from vqvae.bulk.records import DATA

CARD = "README.md"

_COLUMNS = {
    "parquet": """\
A row is an image. `codes` are its codes row by row, `grid_h` x `grid_w` of them; `width` and `height` are the
pixels that they stand for.""",
    "webdataset": """\
A sample is an image. `codes.npy` are its codes (`grid_h`, `grid_w`), none of a bad one; `width` and
`height` in its `json` are the pixels that they stand for.""",
}


def card_of(manifest: Manifest) -> str:
    """Markdown, below the metadata that `datasets` reads."""
    space, options = manifest.space, manifest.options
    framing = f"the middle as {options.size}x{options.size} pixels" if options.size else "in its own size"
    return f"""\
---
configs:
- config_name: default
  data_files: {DATA}/*{SUFFIXES[options.format]}
---

# Codes of {manifest.source.num_images} images

Made by `vqvae bulk encode` with {space.model}, each image {framing}: one of {space.codebook_size} codes for
{space.downsample_factor}x{space.downsample_factor} pixels. The codes are of the code space
`{space.fingerprint}`
and of no other.

{_COLUMNS[options.format]} `source_sha256` is of the image file.
Where `status` is "error", `error` says why and there are no codes.

`vqvae bulk verify` checks all of it by `manifest.json`, `listing.jsonl` and the records in `done`.
"""
