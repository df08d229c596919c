"""Media types: which form of the answer the client's Accept header asks for (RFC 9110, 12.5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import NotAcceptable

JSON = "application/json"
NPY = "application/x-npy"
CODE_FILE = "application/vnd.vqvae.codes"
PNG = "image/png"
WEBP = "image/webp"
JPEG = "image/jpeg"


@dataclass(frozen=True, slots=True)
class _Range:
    media_type: str
    q: float

    def specificity(self, offer: str) -> int:
        """0 for no match, 1 for */*, 2 for type/*, 3 for the type itself."""
        kind = offer.partition("/")[0]
        return {"*/*": 1, f"{kind}/*": 2, offer: 3}.get(self.media_type, 0)


def best(accept: str, offers: Sequence[str]) -> str:
    """The offer that the client likes best; between equals a named type beats a wildcard, then order counts.

    Raises NotAcceptable, naming the offers, where none will do. An empty header allows anything.
    """
    ranges = _parse(accept) or [_Range("*/*", 1.0)]

    def preference(offer: str) -> tuple[float, int]:
        specificity, q = max((r.specificity(offer), r.q) for r in ranges)
        return (q, specificity) if specificity else (0.0, 0)

    chosen = max(offers, key=preference)  # the first among equals
    if preference(chosen)[0] == 0:
        raise NotAcceptable(f"the answer comes as {' or '.join(offers)}; the Accept header allows none")
    return chosen


def _parse(accept: str) -> list[_Range]:
    """The header's ranges; one whose q is no number in [0, 1] is passed over."""
    ranges = []
    for element in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in element.split(";"))
        weights = [parameter[2:].strip() for parameter in parameters if parameter.startswith("q=")]
        try:
            q = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if "/" in media_type and 0 <= q <= 1:
            ranges.append(_Range(media_type, q))
    return ranges
