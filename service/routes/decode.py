"""POST /v1/decode: codes to images."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.errors import BadCodes, OtherFingerprint
from service.intake import read_codes
from service.routes import documented
from service.routes.flow import Flow, grid_headers
from service.routes.pictures import FILES, Form, Picture
from service.schemas.codes import CodesBody
from service.schemas.images import ImagesDocument
from service.schemas.options import DecodeOptions
from vqvae.code_grid import CodeGrid
from vqvae.formats import MEDIA_TYPES

router = APIRouter(tags=["codes"])


@router.post(
    "/v1/decode",
    summary="Codes to images",
    response_class=Response,
    openapi_extra=documented.body([MEDIA_TYPES[".vqc"], MEDIA_TYPES[".npy"]], CodesBody),
    responses=documented.answers(
        ImagesDocument,
        FILES,
        [*documented.ENCODE_AND_DECODE_PROBLEMS, OtherFingerprint, BadCodes],
        documented.GRID_HEADERS,
    ),
)
async def decode(request: Request, options: Annotated[DecodeOptions, Query()]) -> Response:
    """The images of codes, by the model that made them; images of several items come as JSON.

    Takes what encode gave, unchanged. With several items a bad one has an `error` in its place, and one that
    came with an `error` keeps it: the answer is 200, and `counts.failed` counts.
    """
    flow = Flow(request)
    service = flow.service
    async with flow.body() as body:
        grids = await flow.look_at_body(
            read_codes, body, flow.content_type, options, service.registry.spaces, service.settings
        )
        form = Form.negotiated(flow.accept, len(grids), options.quality)

        factors = {space.fingerprint: space.downsample_factor for space in service.registry.spaces}

        def padded_pixels(grid: CodeGrid) -> int:
            h, w = grid.grid
            return h * w * factors.get(grid.space.fingerprint, 1) ** 2  # codes of no model here are no work

        async def work(grid: CodeGrid) -> Picture:
            tokenizer = service.registry.of(grid.space, options.model, options.decoder)
            rgb = await flow.run(lambda: tokenizer.decoding(grid), padded_pixels(grid))
            flow.coded(grid)
            return await flow.output(form.picture, rgb)

        async with flow.admitted(padded_pixels(grid) for grid in grids if isinstance(grid, CodeGrid)):
            pictures = await flow.each(grids, work)
            answer = await flow.output(form.write, pictures)
    return flow.answer(answer, form.media_type, grid_headers(grids))
