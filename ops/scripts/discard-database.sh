#!/bin/sh
# Drops the database POSTGRES_DB, with the connections to it. Takes the variables of migrate.sh, and needs psql on PATH.
set -eu

# As in migrate.sh.
passwords=$(mktemp /dev/shm/flowship.XXXXXX)
exec 3>"$passwords"
rm -- "$passwords"
unset PGPASSWORD
export PGPASSFILE=/proc/self/fd/3
printf '*:*:*:postgres:%s\n' "$(sed -n 1p "$POSTGRES_SUPERUSER_PASSWORD_FILE" | sed 's/[\\:]/\\&/g')" >&3
echo 'DROP DATABASE IF EXISTS :"database" WITH (FORCE)' |
  psql --quiet --no-psqlrc --host="$POSTGRES_HOST" --port="$POSTGRES_PORT" --username=postgres --dbname=postgres \
    --set=ON_ERROR_STOP=1 --set=database="$POSTGRES_DB"
