# A gateway. Build from the repository's root: docker build -f docker/gateway.Dockerfile .
# Platforms: linux/amd64, linux/arm64, linux/arm/v7: everything within is pure Python.
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
RUN uv sync --locked --no-dev --no-editable --compile-bytecode

FROM python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b
# dialout: the group of serial ports on Debian.
RUN groupadd --gid 10001 egret \
 && useradd --uid 10001 --gid 10001 --groups dialout --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin egret \
 && install -d -o egret -g egret -m 0750 /var/lib/egret-gateway
COPY --from=build /opt/egret /opt/egret
ENV PATH=/opt/egret/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /var/lib/egret-gateway
# Well is what reads and is heard by the centre: what `status` says, and its exit code.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s --retries=3 \
  CMD ["egret-gateway", "status", "/etc/egret/gateway.toml"]
ENTRYPOINT ["egret-gateway"]
CMD ["run", "/etc/egret/gateway.toml"]
