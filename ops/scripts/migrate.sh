#!/bin/sh
# Brings the database to this release: roles with their passwords, then the migrations. Runs where Rust is not:
# in the migrate container, and as the migrate process while developing. Needs psql and dbmate on PATH.
set -eu

here=$(dirname "$0")

# What was revoked stays refused until it is rotated.
for file in "$POSTGRES_OWNER_PASSWORD_FILE" "$POSTGRES_APP_PASSWORD_FILE" "$POSTGRES_EXPORTER_PASSWORD_FILE" "$POSTGRES_BARMAN_PASSWORD_FILE"; do
  if [ "$(sed -n 2p "$file")" = revoked ]; then
    echo "$file: the value was revoked; rotate it first" >&2
    exit 1
  fi
done

# In no variable, which other processes of the user could read: in memory, under a name that is gone before the passwords come.
passwords=$(mktemp /dev/shm/flowship.XXXXXX)
exec 3>"$passwords"
rm -- "$passwords"
unset PGPASSWORD
export PGPASSFILE=/proc/self/fd/3
printf '*:*:*:postgres:%s\n' "$(sed -n 1p "$POSTGRES_SUPERUSER_PASSWORD_FILE" | sed 's/[\\:]/\\&/g')" >&3
printf '*:*:*:flowship_owner:%s\n' "$(sed -n 1p "$POSTGRES_OWNER_PASSWORD_FILE" | sed 's/[\\:]/\\&/g')" >&3

psql --quiet --no-psqlrc --host="$POSTGRES_HOST" --port="$POSTGRES_PORT" --username=postgres --dbname=postgres \
  --set=ON_ERROR_STOP=1 --set=database="$POSTGRES_DB" --file="$here/roles.sql"

# In development no older release runs, so the contract migrations run too: after the others, as in production.
contract=
if [ "${FLOWSHIP_TIER:-}" = development ] && [ -n "${CONTRACT_MIGRATIONS_DIR:-}" ]; then
  # dbmate fails in a folder without any.
  set -- "$CONTRACT_MIGRATIONS_DIR"/*.sql
  [ ! -e "$1" ] || contract=$CONTRACT_MIGRATIONS_DIR
fi

for folder in "$MIGRATIONS_DIR" ${contract:+"$contract"}; do
  dbmate --no-dump-schema --migrations-dir="$folder" \
    --url="postgres://flowship_owner@$POSTGRES_HOST:$POSTGRES_PORT/$POSTGRES_DB?sslmode=${POSTGRES_SSLMODE:-disable}" \
    up
done
