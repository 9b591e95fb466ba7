#!/bin/sh
# Drops the database POSTGRES_DB, with the connections to it. Takes the variables of migrate.sh, and needs psql on PATH.
set -eu

PGPASSWORD=$(cat "$POSTGRES_SUPERUSER_PASSWORD_FILE")
export PGPASSWORD
echo 'DROP DATABASE IF EXISTS :"database" WITH (FORCE)' |
  psql --quiet --no-psqlrc --host="$POSTGRES_HOST" --port="$POSTGRES_PORT" --username=postgres --dbname=postgres \
    --set=ON_ERROR_STOP=1 --set=database="$POSTGRES_DB"
