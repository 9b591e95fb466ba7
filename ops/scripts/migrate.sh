#!/bin/sh
# Brings the database to this release: roles with their passwords, then the migrations. Runs where Rust is not:
# in the migrate container, and as the migrate process while developing. Needs psql and dbmate on PATH.
set -eu

here=$(dirname "$0")

PGPASSWORD=$(cat "$POSTGRES_SUPERUSER_PASSWORD_FILE")
export PGPASSWORD
psql --quiet --no-psqlrc --host="$POSTGRES_HOST" --port="$POSTGRES_PORT" --username=postgres --dbname=postgres \
  --set=ON_ERROR_STOP=1 --set=database="$POSTGRES_DB" --file="$here/roles.sql"

# dbmate's driver takes the password from the variable, so that none stands in an argument or in an address.
PGPASSWORD=$(cat "$POSTGRES_OWNER_PASSWORD_FILE")
exec dbmate --no-dump-schema --migrations-dir="$MIGRATIONS_DIR" \
  --url="postgres://flowship_owner@$POSTGRES_HOST:$POSTGRES_PORT/$POSTGRES_DB?sslmode=${POSTGRES_SSLMODE:-disable}" \
  up
