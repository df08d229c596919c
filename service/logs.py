"""The log: lines for people, or a JSON object a line for machines; neither ever holds a body or a query.

Every line that is written while a request is answered carries the request's id.
"""

import logging
from typing import Literal

from pythonjsonlogger.orjson import OrjsonFormatter

from service.errors import request_id

_FIELDS = {"levelname": "level", "name": "logger", "message": "message"}


def set_up(form: Literal["text", "json"]) -> None:
    """Send everything from INFO on to standard error in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        OrjsonFormatter(list(_FIELDS), rename_fields=_FIELDS, timestamp="time")
        if form == "json"
        else logging.Formatter("%(levelname)s %(name)s: %(message)s")
    )
    handler.addFilter(_add_request_id)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it quotes what came


def _add_request_id(record: logging.LogRecord) -> bool:
    if (own_id := request_id.get(None)) is not None:
        record.request_id = own_id
    return True
