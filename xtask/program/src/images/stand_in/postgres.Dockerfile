# Stands in for postgres:18-bookworm: the user postgres (999), PGDATA, /docker-entrypoint-initdb.d, the variables of
# its entrypoint, SIGINT as the fast shutdown.
ARG DEBIAN
FROM ${DEBIAN}
RUN groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres \
    && install --directory --owner=postgres --group=postgres --mode=1777 /var/lib/postgresql \
    && install --directory --owner=postgres --group=postgres --mode=3777 /var/run/postgresql \
    && mkdir -p /docker-entrypoint-initdb.d
# The programs find their libraries and their share folder by their own place.
COPY lib/ /usr/lib/
RUN sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" \
        /usr/lib/postgresql/18/share/postgresql.conf.sample \
    && grep -q "^listen_addresses = '\*'" /usr/lib/postgresql/18/share/postgresql.conf.sample \
    && /usr/lib/postgresql/18/bin/psql --version
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/18/bin \
    LANG=C.UTF-8 \
    PG_MAJOR=18 \
    PGDATA=/var/lib/postgresql/18/docker
COPY --chmod=755 entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
