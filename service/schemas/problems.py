"""The form of every error (RFC 9457), and of the `error` that one failed item among several carries."""

from pydantic import BaseModel, ConfigDict, Field


class KnownModel(BaseModel):
    """A model that codes were tried with."""

    model: str = Field(examples=["photo-f8"])
    fingerprint: str = Field(examples=["1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809"])


class ItemProblem(BaseModel):
    """What went wrong with one item."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=["urn:vqvae:problem:too-large"])
    """Stable, for programs."""
    title: str = Field(examples=["The request is over a limit"])
    """The same for every problem of the type."""
    status: int = Field(examples=[413])
    detail: str = Field(examples=["image is 9000x9000 = 81000000 pixels; the limit is 16777216"])
    """What happened here, for people."""
    limit: float | None = Field(default=None, examples=[16777216])
    """The limit that was passed, where there is one: pixels, bytes, images, codes or megapixels of work."""
    actual: float | None = Field(default=None, examples=[81000000])
    """What came, in the limit's unit; at least so much where it was not counted to its end."""
    fingerprint: str | None = Field(
        default=None, examples=["0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"]
    )
    """That of codes which belong to another model."""
    known: list[KnownModel] | None = None
    """The loaded models in place of it, or the one that the option `model` names."""


class ProblemDetails(ItemProblem):
    """What went wrong with a request."""

    request_id: str = Field(examples=["3f2b8c0e9d7a4c55a1d7f0b6c2e4d8aa"])
    """Finds the request in the service's log."""


class FailedItem(BaseModel):
    """One item among several that went wrong, while the others did not."""

    index: int
    error: ItemProblem
