# Build:            docker build -t vidsr --build-arg TORCH_INDEX=ADDRESS .
#                   ADDRESS is the package index of a PyTorch build; PyTorch's install page lists one for CPUs and one for
#                   each version of CUDA. Without it pip takes the CUDA build on x86-64, which is gigabytes.
# Use:              docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr enhance clip.mp4 --scale 4
#                   docker run --rm --gpus all -u "$(id -u):$(id -g)" -v "$PWD:/clips" vidsr enhance clip.mp4

FROM python:3.13-slim

# The index of the PyTorch build. A CUDA build runs on a CPU too.
ARG TORCH_INDEX=

WORKDIR /opt/vidsr
COPY constraints.txt ./
# A separate layer, because PyTorch is most of the image and changes least.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt torch setuptools
COPY pyproject.toml README.md LICENSE ./
COPY vidsr vidsr
RUN pip install --no-cache-dir --no-build-isolation -c constraints.txt .

# Any user id may run the image (docker run -u), so Numba's cache lies where every user may write.
ENV NUMBA_CACHE_DIR=/tmp/numba \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
RUN useradd --uid 1000 --create-home vidsr
USER 1000
WORKDIR /clips
ENTRYPOINT ["vidsr"]
CMD ["--help"]
