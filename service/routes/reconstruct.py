"""POST /v1/reconstruct: images to codes and back, and what was lost on the way."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.errors import Undecodable
from service.intake import Upload
from service.negotiation import JSON
from service.routes import documented
from service.routes.flow import Flow
from service.routes.pictures import FILES, Form, Picture
from service.schemas.images import ReconstructionsDocument
from service.schemas.options import ReconstructOptions
from vqvae.code_grid import CodeGrid
from vqvae.metrics import psnr, ssim
from vqvae.pixels import RGB8

router = APIRouter(tags=["codes"])


@router.post(
    "/v1/reconstruct",
    summary="Images to codes and back",
    response_class=Response,
    openapi_extra=documented.images_body(),
    responses=documented.answers(
        ReconstructionsDocument, FILES, [*documented.ENCODE_AND_DECODE_PROBLEMS, Undecodable]
    ),
)
async def reconstruct(request: Request, options: Annotated[ReconstructOptions, Query()]) -> Response:
    """The image as it comes back from its codes; as JSON with PSNR, SSIM and bits per pixel.

    It is what decode makes of what encode gives, exactly. Several images are answered as encode answers them.
    """
    flow = Flow(request)
    tokenizer = flow.service.registry.named(options.model, options.decoder)
    f = tokenizer.space.downsample_factor
    async with flow.body() as body:
        uploads = await flow.images_in(body)
        form = Form.negotiated(flow.accept, len(uploads), options.quality)

        def finish(original: RGB8, grid: CodeGrid, reconstruction: RGB8) -> Picture:
            measured = _measure(original, grid, reconstruction) if form.media_type == JSON else {}
            return form.picture(reconstruction, **measured)

        async def work(upload: Upload) -> Picture:
            original = await flow.pixels_of(upload)
            grid = await flow.run(lambda: tokenizer.encoding(original), upload.padded_pixels(f))
            flow.coded(grid)
            reconstruction = await flow.run(lambda: tokenizer.decoding(grid), upload.padded_pixels(f))
            return await flow.output(finish, original, grid, reconstruction)

        num_pixels = (upload.padded_pixels(f) for upload in uploads if isinstance(upload, Upload))
        async with flow.admitted(num_pixels, passes=2):
            pictures = await flow.each(uploads, work)
            answer = await flow.output(form.write, pictures)
    return flow.answer(answer, form.media_type, {})


def _measure(original: RGB8, grid: CodeGrid, reconstruction: RGB8) -> dict[str, Any]:
    return {
        "model": grid.space.model,
        "fingerprint": grid.space.fingerprint,
        "psnr": psnr(original, reconstruction),
        "ssim": ssim(original, reconstruction),
        "bits_per_pixel": grid.bits_per_pixel,
    }
