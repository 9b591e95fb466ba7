# Stands in for haproxy: runs as haproxy (99), reads /usr/local/etc/haproxy/haproxy.cfg, SIGUSR1 ends it gently. Its
# health is asked with the wget of BusyBox, which Alpine brings.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends haproxy busybox \
    && groupmod --gid 99 haproxy \
    && usermod --uid 99 --gid 99 haproxy \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && mkdir -p /usr/local/etc/haproxy /usr/local/sbin /var/lib/haproxy \
    && chown haproxy:haproxy /var/lib/haproxy \
    && ln -s /usr/sbin/haproxy /usr/local/sbin/haproxy \
    && ln -s /bin/busybox /usr/local/bin/wget \
    && haproxy -v
COPY --chmod=755 entrypoint.sh /usr/local/bin/docker-entrypoint.sh
STOPSIGNAL SIGUSR1
WORKDIR /var/lib/haproxy
USER haproxy
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
