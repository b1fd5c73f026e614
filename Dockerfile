# syntax=docker/dockerfile:1
# The platform as an image: one stage builds a virtual environment from the lock, the other runs it as nobody special.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/stampede
WORKDIR /src
# What the lock names changes seldom, and takes minutes: a layer of its own.
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/stampede/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY actors actors
COPY cluster cluster
COPY persistence persistence
COPY serve serve
COPY benchmarks benchmarks
RUN /opt/stampede/bin/pip install --no-deps --no-build-isolation . \
    && /opt/stampede/bin/python -m compileall -q /opt/stampede/lib/python3.11/site-packages/serve

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Stampede" \
      org.opencontainers.image.description="An e-commerce platform built on actors" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 stampede \
    && useradd --uid 10001 --gid stampede --home-dir /var/lib/stampede --create-home --shell /usr/sbin/nologin stampede \
    && chmod 700 /var/lib/stampede
COPY --from=build /opt/stampede /opt/stampede
ENV PATH=/opt/stampede/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STAMPEDE_DATA_DIR=/var/lib/stampede/data
USER 10001:10001
WORKDIR /var/lib/stampede
VOLUME /var/lib/stampede
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["stampede"]
CMD ["up", "--host", "0.0.0.0", "--port", "8000"]
