"""GET /v1/models/{name}/codebook: what each code stands for, as numbers or as a picture.

Shapes: K codebook size, D code dim, f downsample factor, c columns of the atlas.
"""

import io
import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query, Request, Response

from service.negotiation import NPY, PNG, best
from service.routes import documented
from service.routes.conditional import etag_of, is_known, kept_headers, not_modified
from service.routes.flow import Flow
from service.schemas.options import CodebookOptions
from vqvae.pixels import RGB8, encode_image
from vqvae.tokenizer import Tokenizer

router = APIRouter(tags=["models"])


@router.get(
    "/v1/models/{name}/codebook",
    summary="What each code stands for",
    response_class=Response,
    responses=documented.codebook_answers([NPY, PNG]),
)
async def get_codebook(request: Request, name: str, options: Annotated[CodebookOptions, Query()]) -> Response:
    """The code vectors, npy (K, D) float32; or an atlas, a picture of each code decoded alone.

    The atlas is a square of ceil(sqrt K) columns and as many rows of cells, f pixels a side, code after code
    from the top left, row by row; white is left over. A cell is the middle of an endless grid of its code.
    """
    flow = Flow(request)
    tokenizer = flow.service.registry.named(name, options.decoder)
    media_type = best(flow.accept, [NPY, PNG])
    headers = _headers(tokenizer, media_type)
    if is_known(request, headers["ETag"]):
        return not_modified(headers, media_type)
    if media_type == NPY:
        return flow.answer(await flow.output(_npy, tokenizer.code_vectors()), NPY, headers)
    return Response(await _kept_atlas(flow, tokenizer), media_type=PNG, headers=headers)


async def _kept_atlas(flow: Flow, tokenizer: Tokenizer) -> bytes:
    atlases, key = flow.service.atlases, (tokenizer.space.model, tokenizer.decoder_name)
    if kept := atlases.get(key):
        return kept
    num_pixels = tokenizer.space.codebook_size * tokenizer.space.downsample_factor**2

    async def make() -> bytes:
        patches = await flow.run(tokenizer.patching, num_pixels)
        return await flow.output(lambda: encode_image(atlas(patches), PNG))

    async with flow.admitted([num_pixels]):
        return await atlases.get_or_make(key, make)


def columns_of(codebook_size: int) -> int:
    """c = ceil(sqrt K), also the rows."""
    return math.isqrt(codebook_size - 1) + 1


def atlas(patches: npt.NDArray[np.uint8]) -> RGB8:
    """Patches (K, f, f, 3) side by side, row by row: (c f, c f, 3); white where none is left."""
    num_patches, f = patches.shape[:2]
    c = columns_of(num_patches)
    cells = np.full((c * c, f, f, 3), 255, np.uint8)
    cells[:num_patches] = patches
    return cells.reshape(c, c, f, f, 3).swapaxes(1, 2).reshape(c * f, c * f, 3)


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array.astype("<f4", copy=False), allow_pickle=False)
    return file.getvalue()


def _headers(tokenizer: Tokenizer, media_type: str) -> dict[str, str]:
    space, decoder = tokenizer.space, tokenizer.card.decoders[tokenizer.decoder_name]
    headers = {"Vary": "Accept", "X-Model": space.model, "X-Fingerprint": space.fingerprint}
    if media_type == PNG:
        headers["X-Atlas-Columns"] = str(columns_of(space.codebook_size))
        headers["X-Atlas-Cell"] = str(space.downsample_factor)
    return kept_headers(etag_of(space.fingerprint, decoder.digest, media_type), headers)
