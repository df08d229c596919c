"""GET /: the playground, a page and its files, in memory from the start; without it, the way to the rest.

The page takes nothing from elsewhere and runs nothing but its own files, as its policy says.
"""

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.errors import NotFound
from service.routes.conditional import etag_of, is_known, kept_headers, not_modified
from service.settings import Settings

FOLDER = Path(__file__).parents[1] / "playground"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

_WAY_TO_DOCS = '<a href="docs">API</a>'


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    media_type: str
    headers: dict[str, str]

    def answer(self, request: Request) -> Response:
        if is_known(request, self.headers["ETag"]):
            return not_modified(self.headers, self.media_type)
        return Response(self.data, media_type=self.media_type, headers=self.headers)


def router_of(settings: Settings) -> APIRouter:
    """The way in: the page, or where there is none, to the documentation or what is left without it."""
    router = APIRouter(include_in_schema=False)
    if not settings.playground:

        @router.get("/")
        async def home() -> RedirectResponse:
            return RedirectResponse("/docs" if settings.docs else "/version")

        return router

    files = _read_files(settings)
    page = files.pop("index.html")

    @router.get("/")
    async def get_page(request: Request) -> Response:
        return page.answer(request)

    @router.get("/playground/{path:path}")
    async def get_file(request: Request, path: str) -> Response:
        if path not in files:
            raise NotFound("the playground has no file of this name")
        return files[path].answer(request)

    return router


def _read_files(settings: Settings) -> dict[str, _File]:
    """The files below the folder, by their paths from it."""
    files = {}
    for path in FOLDER.rglob("*"):
        if path.suffix not in MEDIA_TYPES:
            continue
        data, more = path.read_bytes(), {}
        if path.suffix == ".html":
            more = {"Content-Security-Policy": POLICY}
            if not settings.docs:
                data = data.replace(_WAY_TO_DOCS.encode(), b"")
        headers = kept_headers(etag_of(data, POLICY), more)
        files[path.relative_to(FOLDER).as_posix()] = _File(data, MEDIA_TYPES[path.suffix], headers)
    return files
