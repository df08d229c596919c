"""The command line, as `vqvae` and as `python -m vqvae`."""

import sys


def main() -> None:
    """Run it; while it is still being imported, Ctrl-C is as quiet as it is later."""
    try:
        from vqvae.cli import main as run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
