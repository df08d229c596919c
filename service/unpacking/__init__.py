"""Image files to pixels in processes of their own, so that what a file does to its decoder stays there.

`process` is the inside of one: numpy and Pillow, no torch, no HTTP. `pool` holds several of them.
"""
