# A CPU image that serves the weights in weights/ on port 8000.
#
#   docker build -t vqvae .
#   docker run --rm --read-only --stop-timeout 60 -p 127.0.0.1:8000:8000 vqvae
#
# It needs no network, no writable disk and no root at run time. The base has Python 3.11 or newer with venv.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
# the index of torch's CPU builds; empty for the default index
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/vqvae/bin:$PATH
WORKDIR /app
RUN python3 -m venv /opt/vqvae
# torch, then what else the service needs: layers that a change of the code leaves as they are
COPY constraints.txt ./
RUN pip install --no-compile --constraint constraints.txt --no-deps torch \
    ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
COPY pyproject.toml ./
RUN pip install --no-compile --constraint constraints.txt hatchling \
    && mkdir vqvae && touch vqvae/__init__.py README.md LICENSE \
    && pip install --no-compile --constraint constraints.txt --no-build-isolation --editable '.[service]' \
    && rm -r vqvae README.md LICENSE
# Compiled here, since nothing can be written later, and not tied to the sources' times, which copying a layer
# may round. A file of torch's is for later Pythons and does not compile.
RUN python -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/vqvae/lib || true
COPY LICENSE ./
COPY weights weights
COPY service service
COPY vqvae vqvae
# readable for all, whatever the umask of whoever builds
RUN python -m compileall -q --invalidation-mode unchecked-hash service vqvae && chmod -R a+rX .

FROM ${BASE_IMAGE}
# two malloc arenas: more only hold memory that threads have given back
ENV PATH=/opt/vqvae/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 \
    VQVAE_SERVE_HOST=0.0.0.0 VQVAE_SERVE_PORT=8000 VQVAE_SERVE_LOG=json
WORKDIR /app
COPY --from=build /opt/vqvae /opt/vqvae
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["python", "-m", "service"]
