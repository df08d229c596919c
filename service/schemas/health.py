"""How the service is, and what it is."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Alive(BaseModel):
    """The event loop answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Real work was done in the last five seconds."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ready"] = "ready"
    last_tile_age_s: float
    """Since the last tile, or the last idle probe, was finished."""
    queue_megapixels: float
    """Work that is waiting or being done."""
    num_requests: int
    """Requests that were accepted and are not answered yet."""


class Version(BaseModel):
    """What is running."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: str
    python: str
    torch: str
    models: dict[str, str]
    """Fingerprints of the loaded models by name."""
