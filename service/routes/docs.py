"""GET /docs: the OpenAPI document as a page to read and to try, by swagger-ui, whose files lie here too.

They come with the package fastapi-swagger. The page asks nobody but this service, and its policy holds
browsers to that.
"""

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from service.errors import NotFound

router = APIRouter()

_TYPES = {
    "favicon-32x32.png": "image/png",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_START = b'SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true });\n'

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",  # icons in the style sheet; an answer that is an image
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_FOR_GOOD = "public, max-age=31536000, immutable"


def _read_files() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and media type of each."""
    folder = files("fastapi_swagger") / "resources"
    for name, media_type in _TYPES.items():
        yield name, (folder / name).read_bytes(), media_type
    yield "start.js", _START, "text/javascript"


# Each in a folder named after what it holds: what a browser keeps for good is never out of date.
_FILES = {
    f"{sha256(data).hexdigest()[:16]}/{name}": (data, media_type) for name, data, media_type in _read_files()
}
_ICON, _STYLE, _SCRIPT, _START_SCRIPT = (f"docs/{path}" for path in _FILES)  # beside /docs, wherever that is

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>vqvae</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="{_STYLE}">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{_SCRIPT}"></script>
<script src="{_START_SCRIPT}"></script>
</body>
</html>
"""


@router.get("/docs", include_in_schema=False)
async def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/{digest}/{name}", include_in_schema=False)
async def file(digest: str, name: str) -> Response:
    """What the page is made of."""
    if (path := f"{digest}/{name}") not in _FILES:
        raise NotFound("there is no such file; /docs names those that there are")
    data, media_type = _FILES[path]
    return Response(data, media_type=media_type, headers={"Cache-Control": _FOR_GOOD})
