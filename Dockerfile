# Builds the binary with its GraphiQL page, and ships nothing else.
FROM node:22-bookworm-slim AS node

FROM rust:1.95-bookworm AS build
# The page is built by npm from within the build script.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /build
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tributary
COPY --from=build /build/target/release/tributary /usr/local/bin/tributary
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["tributary", "healthcheck"]
ENTRYPOINT ["tributary"]
CMD ["serve", "--config", "/etc/tributary/tributary.yaml"]
