"""`python -m vqvae`: the command line."""

from vqvae.cli import main

main()
