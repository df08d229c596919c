"""Devices by name, and whether they can be used here."""

import torch

from vqvae.errors import ConfigError


def usable_device(name: str | torch.device) -> torch.device:
    """The device of that name, for "auto" CUDA where there is one; ConfigError where it is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name).cpu()
    except (RuntimeError, AssertionError) as error:  # the latter is torch's "not compiled with CUDA enabled"
        cause = str(error).splitlines()[0]
        raise ConfigError(f"device {str(name)!r} cannot be used here ({cause}); cpu always can") from error
    return torch.device(name)
