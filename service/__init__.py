"""The application: HTTP on top of the `vqvae` package, run from the repository or the container."""
