# The centre. Build from the repository's root: docker build -f docker/aggregator.Dockerfile .
# Platforms: linux/amd64, linux/arm64.
FROM python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b AS build
RUN python -m pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY core core
COPY gateway gateway
COPY aggregator aggregator
COPY demo demo
COPY firmware-config firmware-config
ENV UV_PROJECT_ENVIRONMENT=/opt/egret UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN uv sync --locked --no-dev --no-editable --compile-bytecode --extra aggregator --extra influx --extra postgresql

FROM python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b
RUN groupadd --gid 10001 egret \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin egret \
 && install -d -o egret -g egret -m 0750 /var/lib/egret-aggregator \
 && install -d -o egret -g egret -m 2750 /etc/egret/broker
COPY --from=build /opt/egret /opt/egret
ENV PATH=/opt/egret/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /var/lib/egret-aggregator /etc/egret/broker
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8420/healthz', timeout=4)"]
ENTRYPOINT ["egret-aggregator"]
CMD ["run", "/etc/egret/aggregator.toml"]
