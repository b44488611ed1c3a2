# Builds the binary and the image of `deploy/Dockerfile`, for a clone without Rust. Needs a registry; without
# one, `cargo xtask image` makes the image from a local build and base.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --profile dist --locked -p gleaner-cli

FROM debian:bookworm-slim

LABEL org.opencontainers.image.title="gleaner" \
      org.opencontainers.image.description="A distributed document-search engine that speaks the Elasticsearch dialect" \
      org.opencontainers.image.licenses="Apache-2.0"

# `index --watch` of a repository runs git, and `https` addresses elsewhere are believed by the authorities of the system.
# A base that was made without a registry has both.
RUN { command -v git && test -s /etc/ssl/certs/ca-certificates.crt; } > /dev/null \
 || { apt-get update \
      && apt-get install --yes --no-install-recommends ca-certificates git \
      && rm -rf /var/lib/apt/lists/*; }

RUN groupadd --system --gid 10001 gleaner \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/gleaner --create-home gleaner \
 && mkdir -p /etc/gleaner/certs && chown gleaner:gleaner /etc/gleaner/certs

COPY --from=build /source/target/dist/gleaner /usr/local/bin/gleaner
# Nodes of a cluster read it with `--config`. The default command is one process, which needs no file.
COPY deploy/cluster.toml /etc/gleaner/cluster.toml

# Each flag of a node, front or companion has a variable, which its `--help` names.
# Clients outside of the container reach the address, so say how: GLEANER_SECURE=true, certificates, or
# GLEANER_INSECURE=true where the network is trusted. An ambassador of Redis may ask for a password instead
# (GLEANER_AMBASSADOR_PASSWORD_FILE).
ENV GLEANER_DATA_DIR=/var/lib/gleaner \
    GLEANER_LISTEN=0.0.0.0:9200

USER gleaner
WORKDIR /var/lib/gleaner
VOLUME /var/lib/gleaner

# 9200: clients, health and metrics. 9300: other nodes. A companion is given its own GLEANER_LISTEN, 6379 for
# `ambassador redis` and 9121 for `adapter redis` as a rule, and 9210 as GLEANER_PROBE_LISTEN for probes and metrics.
EXPOSE 9200 9300 6379 9121 9210

# It asks the address of probes where GLEANER_PROBE_LISTEN names one, else GLEANER_URL, else 9200.
HEALTHCHECK --interval=2s --timeout=2s --start-period=5s --retries=30 \
    CMD ["gleaner", "health"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["gleaner"]
CMD ["serve"]
