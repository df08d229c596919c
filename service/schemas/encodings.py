"""Bytes in JSON: what the OpenAPI document says of them, for they are read and written elsewhere."""

from typing import Annotated

from pydantic import WithJsonSchema

Base64 = Annotated[str, WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
