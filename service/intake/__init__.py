"""Intake: a request's body, counted while it streams in, then the images or codes in it, held to the limits.

No pixels are unpacked here: an image stays in its file's bytes, with the number of pixels that its header
states. What is wrong with one image or item stands in its place as a Problem, for the route to raise or to
report; what is wrong with the request as a whole is raised.
"""

from service.intake.body import Bodies
from service.intake.codes import PassedOn, read_codes
from service.intake.images import Upload, read_images

__all__ = ["Bodies", "PassedOn", "Upload", "read_codes", "read_images"]
