# syntax=docker/dockerfile:1
# The service with the bundled MNIST model:
#   docker build . -t synthgen && docker run -p 8000:8000 synthgen
# A GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t synthgen:cuda .
#   and docker run --gpus all ...
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
# Where torch comes from. PyTorch's index of CPU builds: 200 MB; PyPI's own build brings CUDA: several GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=serve,parquet
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/synthgen
ENV PATH=/opt/synthgen/bin:$PATH
# In a layer of its own: a change of the code does not fetch it again.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --index-url "$TORCH_INDEX" "torch>=2.8" "torchvision>=0.23"
COPY . .
# What it needs has its lower bounds in pyproject.toml.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install ".[$EXTRAS]"

FROM python:${PYTHON}-slim-bookworm
RUN useradd --uid 10001 --create-home synthgen
COPY --from=build /opt/synthgen /opt/synthgen
ENV PATH=/opt/synthgen/bin:$PATH
USER 10001
# Runs of your own: docker run -v "$PWD/runs:/home/synthgen/runs:ro" ... serve my-run --host 0.0.0.0 --make-api-key
WORKDIR /home/synthgen
EXPOSE 8000
HEALTHCHECK --start-period=60s --timeout=5s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["synthgen"]
# A key is made and printed where SYNTHGEN_API_KEY gives none: a container's port may be open to anybody.
CMD ["serve", "bundled:mnist", "--host", "0.0.0.0", "--make-api-key"]
