# Stands in for images of one static program on BusyBox or Alpine: runs as nobody (65534), asked for its health with wget.
# Prometheus and Alertmanager keep their data in a folder of their name, which is nobody's.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && mkdir -p /prometheus /alertmanager /etc/prometheus /etc/alertmanager \
    && chown 65534:65534 /prometheus /alertmanager
# There may be no program.
COPY --chmod=755 entrypoint.sh bin* /usr/local/bin/
USER 65534:65534
ENTRYPOINT ["entrypoint.sh"]
