# docker build -t dts . && docker run --rm dts simulate --help
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels dist-training-sim
RUN useradd --create-home --uid 1000 dts
USER 1000
WORKDIR /home/dts
ENTRYPOINT ["dts"]
CMD ["--help"]
