"""Every setting of the service, with its default and its unit; the only place that reads the environment."""

import os
import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from vqvae.errors import ConfigError

MEGAPIXEL = 2**20  # pixels, so that 4096x4096 is 16 megapixels

# Not VQVAE_ or VQVAE_SERVICE_: beside a Kubernetes Service called vqvae every pod finds VQVAE_PORT and
# VQVAE_SERVICE_PORT in its environment, put there by Kubernetes and meaning something else.
PREFIX = "VQVAE_SERVE_"


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole processors that this process may use: its cgroup's quota (v2 or v1) or its affinity, the less."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    for files in ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):
        try:
            quota, period = " ".join((cgroup / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def library_paths() -> dict[str, str]:
    """The variables by which a Python may find its own libraries, for processes that get no others."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ}


class Settings(BaseSettings):
    """Set by environment variables: `VQVAE_SERVE_PORT=8123` sets `port`; an unknown one is an error.

    A megapixel is 2^20 pixels. The work of a request, in megapixels, is what its images hold, their sides
    rounded up to multiples of f, twice for reconstruct; an image counts as 1/64 at least.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    host: str = Field(default="127.0.0.1", min_length=1)  # sockets take an empty one for every network
    """Address to listen on; 0.0.0.0 for every network."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    models: str = "photo-f8,photo-f16"
    """Models to serve, names or paths, separated by commas; the first is the default."""
    device: str = "cpu"
    """Where the models compute: cpu, cuda or cuda:1, or auto: a GPU where there is one."""
    threads: int = Field(default_factory=usable_cpus, ge=1)
    """Threads of the models' arithmetic, which all tiles at work share, and processes that unpack images; the
    processors of the cgroup's quota or the affinity unless told."""
    tile_pixels: int = Field(default=512, ge=64)
    """Side of the tiles that large images are worked in, about; requests take turns tile by tile."""

    api_keys: SecretStr = SecretStr("")
    """Keys of which a request to /v1 must carry one, separated by commas; unless this is set, anyone may."""
    api_keys_file: Path | None = None
    """File of more such keys, one a line, read at the start."""
    cors_origins: str = ""
    """Origins whose pages a browser lets ask, https://example.org, separated by commas; * for all."""
    log: Literal["text", "json"] = "text"
    """Form of the log: lines for people, or a JSON object a line."""
    traces: bool = False
    """Whether to send OpenTelemetry traces, to where the standard OTEL_ variables say."""
    docs: bool = True
    """Whether there are /docs and /openapi.json."""
    playground: bool = True
    """Whether there is a playground at /."""

    connections: int = Field(default=1000, ge=1)
    """Most connections at one time."""
    header_bytes: int = Field(default=32768, ge=1024)
    """Largest headers of a request, with its path."""
    headers_s: float = Field(default=10, gt=0)
    """Time for the headers to arrive."""
    keep_alive_s: int = Field(default=30, ge=1)
    """Time that a connection stays open for another request."""
    answer_s: float = Field(default=60, gt=0)
    """Time for an answer to be taken by its client."""
    body_bytes: int = Field(default=20_000_000, ge=1)
    """Largest body of a request."""
    body_s: float = Field(default=30, gt=0)
    """Time for a body to arrive."""
    image_megapixels: float = Field(default=16, gt=0)
    """Largest image, in or out."""
    request_megapixels: float = Field(default=64, gt=0)
    """Most of all images of one request together, in or out."""
    images_per_request: int = Field(default=64, ge=1)
    """Most images, or items of codes, of one request."""
    codes_per_request: int = Field(default=2**22, ge=1)
    """Most codes of one request to decode."""
    unpack_s: float = Field(default=10, gt=0)
    """Time for one image file to become pixels."""

    queue_megapixels: float = Field(default=128, gt=0)
    """Work that is waiting or being done; beyond it requests are answered 429."""
    queue_body_bytes: int = Field(default=200_000_000, ge=1)
    """Bodies in memory at one time, of requests and of answers; beyond them requests are answered 429."""
    deadline_s: float = Field(default=30, gt=0)
    """Time from admission to answer, to which the next one is added."""
    deadline_s_per_megapixel: float = Field(default=2, ge=0)
    """Time added to the deadline for each megapixel of the request's work."""
    drain_s: int = Field(default=30, ge=0)
    """Time that accepted requests have left when the service is told to stop."""

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.image_megapixels > self.request_megapixels:
            raise ValueError(
                f"image_megapixels must not exceed request_megapixels, "
                f"got {self.image_megapixels:g} and {self.request_megapixels:g}"
            )
        if not self.model_names:
            raise ValueError("models must name at least one model, got none")
        return self

    @property
    def model_names(self) -> list[str]:
        """`models`, taken apart."""
        return _parts(self.models)

    @property
    def image_pixels(self) -> int:
        """`image_megapixels`, in pixels."""
        return int(self.image_megapixels * MEGAPIXEL)

    @property
    def origins(self) -> list[str]:
        """`cors_origins`, taken apart."""
        return _parts(self.cors_origins)

    def read_keys(self) -> list[str]:
        """All keys; ConfigError where there should be some and are none, or for what is no file or no key."""
        keys = _parts(self.api_keys.get_secret_value())
        if "api_keys" in self.model_fields_set and not keys:
            raise ConfigError("api_keys must hold a key, got none; leave it out to let anyone ask")
        if self.api_keys_file is not None:
            try:
                of_file = self.api_keys_file.read_text("utf-8").split("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"api_keys_file {self.api_keys_file} cannot be read: {error}") from error
            of_file = [line.strip() for line in of_file if line.strip()]
            if not of_file:
                raise ConfigError(f"api_keys_file {self.api_keys_file} must hold a key a line, got none")
            keys += of_file
        for i, key in enumerate(keys):
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise ConfigError(f"an API key must be printable ASCII without spaces; number {i + 1} is not")
        return keys


def _parts(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]


def read_settings() -> Settings:
    """Settings from the environment; ConfigError, in one line, for an unknown variable or a wrong value."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name for name in os.environ if name.upper().startswith(PREFIX)}
    unknown = sorted(name for name in given if name.upper() not in known)
    if unknown:
        raise ConfigError(f"{unknown[0]} is no setting; there are {', '.join(sorted(known))}")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper() + ": " if first["loc"] else ""
        raise ConfigError(f"{name}{first['msg']}, got {first['input']!r}" if name else first["msg"]) from None
