#!/bin/sh
# First start: makes the cluster in PGDATA, its superuser, the database, and runs /docker-entrypoint-initdb.d. Every
# start: becomes the server itself, so that signals reach it. As root it goes on as the user postgres.
set -eu

fail() { echo "docker-entrypoint: $*" >&2; exit 1; }

# Sets the variable NAME from the file that NAME_FILE names; both at once is a mistake.
from_file() {
    eval "value=\${$1-} file=\${$1_FILE-}"
    if [ -n "$value" ] && [ -n "$file" ]; then fail "both $1 and $1_FILE are set; set one"; fi
    if [ -n "$file" ]; then
        [ -r "$file" ] || fail "$1_FILE names $file, which cannot be read"
        value=$(cat "$file")
    fi
    if [ -z "$value" ]; then value=$2; fi
    eval "$1=\$value"
}

case "${1-}" in
-*) set -- postgres "$@" ;;
esac
serves=no
if [ "${1-}" = postgres ]; then
    serves=yes
    for word in "$@"; do
        case $word in
        -'?' | --help | --describe-config | -V | --version) serves=no ;;
        esac
    done
fi
[ "$serves" = yes ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres:postgres {} +
    chmod 0700 "$PGDATA"
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        # The secret's file may be readable for root alone.
        from_file POSTGRES_PASSWORD ''
        export POSTGRES_PASSWORD
        unset POSTGRES_PASSWORD_FILE
    fi
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA" 2>/dev/null || :
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS ''
    method=${POSTGRES_HOST_AUTH_METHOD-}
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
        fail "the cluster needs a superuser's password: set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD"
    fi

    secret=$(mktemp)
    trap 'rm -f "$secret"' EXIT
    printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
    # An empty line is no password.
    if [ -n "$POSTGRES_PASSWORD" ]; then set -- "$secret" "$@"; else set -- '' "$@"; fi
    given=$1
    shift
    # shellcheck disable=SC2086 # the arguments are words
    initdb --username="$POSTGRES_USER" ${given:+--pwfile="$given"} --pgdata="$PGDATA" $POSTGRES_INITDB_ARGS
    rm -f "$secret"
    trap - EXIT
    printf '\nhost all all all %s\n' "${method:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    # Only this container can reach the server that sets things up.
    export PGPASSWORD="$POSTGRES_PASSWORD" PGUSER="$POSTGRES_USER" PGHOST=/var/run/postgresql
    pg_ctl --pgdata="$PGDATA" --wait -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
    if [ "$POSTGRES_DB" != postgres ]; then
        psql --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=postgres --set=name="$POSTGRES_DB" <<'SQL'
CREATE DATABASE :"name";
SQL
    fi
    export PGDATABASE="$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh) if [ -x "$file" ]; then "$file"; else
            # shellcheck source=/dev/null
            . "$file"
        fi ;;
        *.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --file="$file" ;;
        *.sql.gz) gunzip --stdout "$file" | psql --no-psqlrc --set=ON_ERROR_STOP=1 ;;
        esac
    done
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    unset PGPASSWORD PGUSER PGHOST PGDATABASE
    echo "PostgreSQL init process complete; ready for start up." >&2
fi
unset POSTGRES_PASSWORD
exec "$@"
