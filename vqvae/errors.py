"""Every error that this package raises on purpose, in one tree.

Catch `VqvaeError` to catch them all. A message names the thing, the rule, what came, and the way out.
"""


class VqvaeError(Exception):
    """The root of the tree."""


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
    """Codes come from another code space than the model that should decode them."""

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(
            f"codes carry fingerprint {actual}, this model has {expected}; "
            "decode them with the model that made them"
        )
        self.expected = expected
        self.actual = actual


class ModelError(VqvaeError):
    """A model directory is missing, damaged, of another format version, or lacks the part asked for."""


class DataError(VqvaeError):
    """A source of images is missing or holds none."""


class TrainingError(VqvaeError):
    """Training cannot go on: its loss or gradient is not finite."""
