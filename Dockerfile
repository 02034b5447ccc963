# The image: a virtual environment of wheels, installed by hash, without a package installer.
#
#   docker build --tag hookferry:0.1.0 --build-arg VERSION=0.1.0 .
#
# `make lock` writes the lock files; --build-arg LOCK=requirements-msk.lock adds the login to Amazon MSK. A tag may
# move: for a release, fix the base by its digest with --build-arg PYTHON_IMAGE=python@sha256:...
# (docs/how-to/docker.md).
ARG PYTHON_IMAGE=python:3.14-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/hookferry

# Dependencies first: this layer changes only with the lock. Wheels only, so that no compiler is needed.
COPY requirements.lock requirements-msk.lock ./
ARG LOCK=requirements.lock
RUN pip --python /opt/hookferry/bin/python install --no-compile --only-binary=:all: --require-hashes -r "$LOCK"

# The build backend is installed outside the environment.
COPY requirements-build.lock ./
RUN pip install --only-binary=:all: --require-hashes -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
# Bytecode is compiled here and not checked at run time, because the root file system may be read-only.
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /dist . \
 && pip --python /opt/hookferry/bin/python install --no-compile --no-deps --no-index /dist/*.whl \
 && /opt/hookferry/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/hookferry/lib

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hookferry" \
      org.opencontainers.image.description="Kafka outbox events as signed webhooks: at least once, in order per entity, nothing lost" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# Remove the base image's pip: the image installs nothing at run time. The user is a number, so that
# Kubernetes can verify that it is not root.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
 && groupadd --gid 10001 hookferry \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/hookferry --shell /usr/sbin/nologin hookferry \
 && install -d -o 10001 -g 10001 -m 0770 /var/lib/hookferry \
 && install -d -m 0755 /etc/hookferry
COPY --from=build /opt/hookferry /opt/hookferry

ENV PATH=/opt/hookferry/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOOKFERRY_CONFIG=/etc/hookferry/bridge.yaml \
    HOOKFERRY_IN_CONTAINER=1

# The default state_dir, "state", is relative to this folder, the only one besides /tmp that the process writes to.
WORKDIR /var/lib/hookferry
VOLUME ["/var/lib/hookferry"]
USER 10001:10001
# In a container (HOOKFERRY_IN_CONTAINER) the admin port listens on all addresses, unless admin.host is set.
EXPOSE 8080

# SIGTERM drains and commits. No HEALTHCHECK, because the admin port depends on the configuration and
# Kubernetes has probes; docs/how-to/docker.md has one for Compose.
STOPSIGNAL SIGTERM
ENTRYPOINT ["hookferry"]
CMD ["run"]
