"""What a bug report should say of an installation and its machine, and whether the models work there.

Nothing tells of persons: no path, no user's or host's name, and of environment variables their names alone.
`machine` and `software` need no torch; `self_test` does.
"""
