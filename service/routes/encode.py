"""POST /v1/encode: images to codes."""

from collections.abc import Sequence
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from service.errors import Problem, Undecodable
from service.intake import Upload
from service.negotiation import CODE_FILE, JSON, NPY, best
from service.routes import documented
from service.routes.flow import Flow, failed_item, grid_headers
from service.schemas.codes import CodesDocument
from service.schemas.options import EncodeOptions
from vqvae.code_grid import CodeGrid
from vqvae.formats import to_code_file, to_document, to_item, to_npy

router = APIRouter(tags=["codes"])


@router.post(
    "/v1/encode",
    summary="Images to codes",
    response_class=Response,
    openapi_extra=documented.images_body(),
    responses=documented.answers(
        CodesDocument,
        [NPY, CODE_FILE],
        [*documented.ENCODE_AND_DECODE_PROBLEMS, Undecodable],
        documented.GRID_HEADERS,
    ),
)
async def encode(request: Request, options: Annotated[EncodeOptions, Query()]) -> Response:
    """The codes of one image or several; of several they come as JSON.

    With several images a bad one has an `error` in its item: the answer is 200, and `counts.failed` counts.
    """
    flow = Flow(request)
    tokenizer = flow.service.registry.named(options.model)
    f = tokenizer.space.downsample_factor
    async with flow.body() as body:
        uploads = await flow.images_in(body)
        media_type = best(flow.accept, [JSON, NPY, CODE_FILE] if len(uploads) == 1 else [JSON])

        async def work(upload: Upload) -> CodeGrid:
            rgb = await flow.pixels_of(upload)
            grid = await flow.run(lambda: tokenizer.encoding(rgb), upload.padded_pixels(f))
            flow.coded(grid)
            return grid

        async with flow.admitted(upload.padded_pixels(f) for upload in uploads if isinstance(upload, Upload)):
            grids = await flow.each(uploads, work)
            answer = await flow.output(_write, grids, media_type, options.encoding)
    return flow.answer(answer, media_type, grid_headers(grids))


def _write(
    grids: Sequence[CodeGrid | Problem], media_type: str, encoding: Literal["list", "base64"]
) -> bytes:
    if isinstance(grids[0], CodeGrid) and media_type == NPY:
        return to_npy(grids[0])
    if isinstance(grids[0], CodeGrid) and media_type == CODE_FILE:
        return to_code_file(grids[0])
    items = [
        failed_item(grid, index) if isinstance(grid, Problem) else to_item(grid, index, encoding)
        for index, grid in enumerate(grids)
    ]
    return orjson.dumps(to_document(items))
