# Build:            docker build -t vidsr --build-arg TORCH_INDEX=ADDRESS .
#                   ADDRESS is the package index of a PyTorch build, as PyTorch's install page gives it for "CPU" or for a
#                   version of CUDA. Without it pip's own index decides, which on x86-64 brings CUDA and gigabytes.
# Use:              docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr enhance clip.mp4 --scale 4
#                   docker run --rm --gpus all -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr enhance clip.mp4

FROM python:3.13-slim

# Which build of PyTorch; either runs on a CPU, and on a GPU where it was built for one.
ARG TORCH_INDEX=

WORKDIR /opt/vidsr
COPY constraints.txt ./
# In a layer of its own: it is most of the image and changes least.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt torch setuptools
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
