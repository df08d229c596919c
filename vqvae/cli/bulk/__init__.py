"""`vqvae bulk`: whole data sets to shards of codes, and what is in them."""

import typer

from vqvae.cli.bulk.encode import encode
from vqvae.cli.bulk.stats import stats
from vqvae.cli.bulk.verify import verify

COMMANDS = (encode, verify, stats)


def bulk_(context: typer.Context) -> None:
    """Turn whole data sets into shards of codes.

        vqvae bulk encode photos/ codes --size 256
        vqvae bulk verify codes
        vqvae bulk stats codes

    `vqvae bulk COMMAND --help` explains a command and shows examples.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
