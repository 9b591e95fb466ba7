# Stands in for ghcr.io/openbao/openbao: runs as openbao (100:1000), bao on PATH, the folders config, file and logs below
# /openbao. Its health is asked with wget, which BusyBox brings to Alpine; Debian's BusyBox does not speak TLS 1.3.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 1000 openbao \
    && useradd --uid 100 --gid openbao --home-dir /home/openbao --create-home openbao \
    && mkdir -p /openbao/config /openbao/file /openbao/logs \
    && chown -R openbao:openbao /openbao
COPY --chmod=555 bin/bao /usr/bin/bao
RUN bao version
COPY --chmod=755 entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME ["/openbao/logs", "/openbao/file"]
EXPOSE 8200
USER openbao
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["server"]
