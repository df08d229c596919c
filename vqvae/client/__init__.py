"""The service from Python: `Client` waits for its answers, `AsyncClient` is awaited. Neither needs torch.

Both do the same by the same code, and differ only in how they send, sleep and run things at one time:

    uploads       what is sent of an image
    exchange      one request until its answer: attempts, waits, the end of patience
    problems      what an answer means that is not the wanted one
    models        what the service says of its models and limits
    verbs         encode, decode and reconstruct on the wire
    session       all of it, as steps that yield what to send
    many          any number of images: groups, order, failures, progress
    deadlines     connections that keep to a request's time
    blocking, asynchronous    the two clients
"""

from vqvae.client.asynchronous import AsyncClient
from vqvae.client.blocking import Client
from vqvae.client.many import Progress
from vqvae.client.models import Limits, ServedModel
from vqvae.client.verbs import Reconstruction

__all__ = ["AsyncClient", "Client", "Limits", "Progress", "Reconstruction", "ServedModel"]
