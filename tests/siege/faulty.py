"""The service with a fault in its model: every N-th encoding raises, or the N-th one hangs for a while.

python faulty.py raise N
python faulty.py hang N
"""

import itertools
import sys
import time
from unittest.mock import patch

MESSAGE = "this encoding was made to fail"
HANG_S = 8.0  # longer than readiness is believed without a tile


def main(fault: str, every: int) -> None:
    """Serve, with the fault."""
    # Imported here, for the unpacking processes import this file as well, and do without torch.
    from service.__main__ import main as serve  # noqa: PLC0415
    from vqvae.code_grid import CodeGrid  # noqa: PLC0415
    from vqvae.pixels import RGB8  # noqa: PLC0415
    from vqvae.tokenizer import TiledJob, Tokenizer  # noqa: PLC0415

    encoding = Tokenizer.encoding
    calls = itertools.count(1)

    def faulty(tokenizer: Tokenizer, rgb: RGB8) -> TiledJob[CodeGrid]:
        call = next(calls)
        if fault == "raise" and call % every == 0:
            raise RuntimeError(MESSAGE)
        if fault == "hang" and call == every:
            time.sleep(HANG_S)
        return encoding(tokenizer, rgb)

    with patch.object(Tokenizer, "encoding", faulty):
        serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
