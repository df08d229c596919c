"""Every error that this package raises on purpose, in one tree.

Catch `VqvaeError` to catch them all. A message names the thing, the rule, what came, and the way out.
"""

from typing import Any


class VqvaeError(Exception):
    """The root of the tree; each can be pickled, so that it comes out of other processes as it was."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), self.__dict__


def _restored(cls: type[VqvaeError], args: tuple[object, ...]) -> VqvaeError:
    error = cls.__new__(cls)  # without __init__, whose arguments are not those of the message
    error.args = args
    return error


class ConfigError(VqvaeError):
    """A configuration has an unknown variable, or a value outside its rule."""


class MissingExtraError(VqvaeError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra `{extra}`; install it with: pip install 'vqvae[{extra}]'"
        )


class ImageError(VqvaeError):
    """Bytes of a listed image type cannot be decoded."""


class UnsupportedImageError(ImageError):
    """Bytes are of no listed image type."""


class LimitError(VqvaeError):
    """Something is larger than a stated limit; `limit` and `actual` are in the limit's own unit."""

    def __init__(self, message: str, *, limit: int, actual: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.actual = actual


class CodesError(VqvaeError):
    """Codes break their contract: range, shape or type."""


class FormatError(VqvaeError):
    """A code file, npy array or JSON document is damaged or malformed."""


class FingerprintError(VqvaeError):
    """Codes come from another code space than the model that is to decode them, or than codes before them."""

    def __init__(self, message: str | None = None, *, expected: str, actual: str) -> None:
        super().__init__(
            message
            or f"codes carry fingerprint {actual}, this model has {expected}; "
            "decode them with the model that made them"
        )
        self.expected = expected
        self.actual = actual


class ModelError(VqvaeError):
    """A model directory is missing, damaged, of another format version, or lacks the part asked for."""


class DataError(VqvaeError):
    """A source of images is missing or holds none."""


class SourceChangedError(DataError):
    """An image is not there any more as it was when its source was listed."""


class BulkError(VqvaeError):
    """A set of codes cannot be begun, gone on with or read: it is another job's, unfinished or damaged."""


class TrainingError(VqvaeError):
    """Training cannot go on: its loss or gradient is not finite."""


class ServiceError(VqvaeError):
    """No answer of a vqvae service: none at all, or one that only another program gives.

    `request_id` finds the request in the service's log; `status` is HTTP's, None where nothing answered.
    """

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        Exception.__init__(self, message)  # not the next in line, where a subclass has two bases
        self.status = status
        self.request_id = request_id


class ServiceTimeoutError(ServiceError, TimeoutError):
    """The service did not answer in the time that the client gives it."""


class ServiceProblem(ServiceError):  # noqa: N818 - the word of RFC 9457
    """The service refused, and says why.

    `type` is for programs (`urn:vqvae:problem:too-large`), `title` the same for all of a type, `detail` what
    happened here. `limit` and `actual` are in the limit's own unit, None where there is no limit.
    `retry_after_s` is when asking again is worth it, None where the service does not say.
    """

    status: int

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        type_: str = "about:blank",
        title: str = "",
        request_id: str | None = None,
        limit: float | None = None,
        actual: float | str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.type = type_
        self.title = title
        self.detail = detail
        self.limit = limit
        self.actual = actual
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        kind = f"{self.status} {self.title}".strip()
        return f"{self.detail} ({kind}{f'; request {self.request_id}' if self.request_id else ''})"


class ServiceOverloadedError(ServiceProblem):
    """The service is full (429), or is starting or stopping (503), and was so for as long as was tried."""


class RefusedImageError(ServiceProblem, ImageError):
    """The service takes an image for damaged, or for one of no listed type."""


class RefusedFingerprintError(ServiceProblem, FingerprintError):
    """The service has no model for codes of the fingerprint `actual`; it has those in `expected`.

    Both are empty where an older service does not say.
    """

    actual: str

    def __init__(self, detail: str, *, expected: str, actual: str, **members: Any) -> None:
        ServiceProblem.__init__(self, detail, **members)
        self.expected = expected
        self.actual = actual


class ItemError(VqvaeError):
    """One of many images failed; `index` is its place among them, `error` what went wrong.

    `source` is its path where it was given as one.
    """

    def __init__(self, index: int, error: VqvaeError, source: str | None = None) -> None:
        super().__init__(f"number {index}{f' ({source})' if source else ''}: {error}")
        self.index = index
        self.error = error
        self.source = source
        self.__cause__ = error
