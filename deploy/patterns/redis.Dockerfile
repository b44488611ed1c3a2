# Redis from Debian, for the patterns of this folder: no other image is needed.
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install --yes --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/*

USER redis
EXPOSE 6379
HEALTHCHECK --interval=2s --timeout=2s --retries=30 CMD ["redis-cli", "ping"]
CMD ["redis-server", "--save", "", "--protected-mode", "no"]
