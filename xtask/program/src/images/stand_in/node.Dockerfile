# Stands in for node:24-bookworm-slim: node, npm and npx on PATH, the user node (1000), its entrypoint's rule.
ARG DEBIAN
FROM ${DEBIAN}
RUN groupadd --gid 1000 node \
    && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY nodejs/ /usr/local/
COPY --chmod=755 entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && chmod 755 /usr/local/lib/node_modules/npm/bin/*-cli.js \
    && node --version && npm --version
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
