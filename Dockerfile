# For a CPU:        docker build -t vidsr .
# For NVIDIA GPUs:  docker build -t vidsr:cuda --build-arg TORCH_BUILD=cu130 .
# Use:              docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr enhance clip.mp4 --scale 4
#                   docker run --rm --gpus all -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr:cuda enhance clip.mp4

FROM python:3.13-slim

# Which build of PyTorch: cpu, or a CUDA version as PyTorch names them.
ARG TORCH_BUILD=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH_BUILD}

WORKDIR /opt/vidsr
COPY constraints.txt ./
# In a layer of its own: it is most of the image and changes least.
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt torch setuptools
COPY pyproject.toml README.md LICENSE ./
COPY vidsr vidsr
RUN pip install --no-cache-dir --no-build-isolation -c constraints.txt .

# Any user id may run it (docker run -u), so what is written at run time has a place that all may write to.
ENV NUMBA_CACHE_DIR=/tmp/numba \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
RUN useradd --uid 1000 --create-home vidsr
USER 1000
WORKDIR /clips
ENTRYPOINT ["vidsr"]
CMD ["--help"]
