# One image for every process of Kassa: `kassa serve`, `kassa worker`, `kassa migrate`; the sandbox too.

FROM python:3.12-slim AS build
# durable-rules is compiled; the compiler stays in this stage.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements-server.lock .
RUN python -m venv /opt/kassa \
 && /opt/kassa/bin/pip install --no-cache-dir --require-hashes -r requirements-server.lock
COPY pyproject.toml README.md ./
COPY clients/python clients/python
COPY fraud_rules fraud_rules
COPY sandbox sandbox
COPY server server
RUN /opt/kassa/bin/pip install --no-cache-dir --no-deps ./clients/python .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/kassa --create-home kassa \
 && install --directory --owner=kassa /var/lib/kassa/sandbox
COPY --from=build /opt/kassa /opt/kassa
ENV PATH=/opt/kassa/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KASSA_LISTEN=0.0.0.0:50051
USER kassa
WORKDIR /var/lib/kassa
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s \
  CMD ["python", "-c", "import sys, grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; stub = health_pb2_grpc.HealthStub(grpc.insecure_channel('127.0.0.1:50051')); sys.exit(stub.Check(health_pb2.HealthCheckRequest(), timeout=3).status != 1)"]
ENTRYPOINT ["kassa"]
CMD ["serve"]
