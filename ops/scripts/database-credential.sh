#!/bin/sh
# Brings the database in line with the file of one credential while that changes: ACT VARIABLE ROLE, where VARIABLE names the
# file, and ROLE is whose credential it is. Takes the variables of migrate.sh, and needs psql on PATH. Every act is safe to run
# again. The first line of the file is the value in use, the second `next VALUE` or `previous VALUE`.
set -eu

here=$(dirname "$0")
act=$1 role=$3
eval "file=\$$2"
export file role LC_ALL=C
unset PGPASSWORD
export PGPASSFILE=/proc/self/fd/3 PGCONNECT_TIMEOUT=5

in_use() { sed -n 1p "$1"; }
other() { sed -n '2s/^\(next\|previous\) //p' "$1"; }
marked() { sed -n "2s/^$1 //p" "$file"; }
user_of() { case $1 in *:*) printf %s "${1%%:*}" ;; *) printf %s "$role" ;; esac; }

# LOGIN USER_WITHOUT_ONE -> what psql says. The password is in no variable, as in migrate.sh.
connect() {
  case $1 in *:*) as=${1%%:*} ;; *) as=$2 ;; esac
  passwords=$(mktemp /dev/shm/flowship.XXXXXX)
  exec 3>"$passwords"
  rm -- "$passwords"
  printf '*:*:*:*:%s\n' "$(printf %s "${1#*:}" | sed 's/[\\:]/\\&/g')" >&3
  psql --quiet --no-psqlrc --no-password --host="$POSTGRES_HOST" --port="$POSTGRES_PORT" --username="$as" \
    --dbname="$POSTGRES_DB" --set=ON_ERROR_STOP=1 --tuples-only --no-align
}

logs_in() { echo 'SELECT 1' | connect "$1" "$role" >/dev/null; }

is_refused() {
  if said=$(echo 'SELECT 1' | connect "$1" "$role" 2>&1); then
    echo "the database still accepts the login of $(user_of "$1")" >&2
    return 1
  fi
  case $said in
  *'password authentication failed'* | *'is not permitted to log in'*) ;;
  *)
    echo "cannot find out whether the database refuses $(user_of "$1"): $said" >&2
    return 1
    ;;
  esac
}

# While the superuser's own password changes, the other one may be the one that works.
as_superuser() {
  password=$(in_use "$POSTGRES_SUPERUSER_PASSWORD_FILE")
  if ! echo 'SELECT 1' | connect "$password" postgres >/dev/null 2>&1; then
    password=$(other "$POSTGRES_SUPERUSER_PASSWORD_FILE")
  fi
  connect "$password" postgres
}

# Without those that only listen for news: they are cut off, and connect anew.
sessions_of() {
  as_superuser <<SQL
SELECT count(*) FROM pg_stat_activity
WHERE usename = '$1' AND query NOT LIKE 'LISTEN %' AND query NOT LIKE '%pg_listening_channels%';
SQL
}

# No new session, and none of the old ones.
shut_out() {
  as_superuser <<SQL
ALTER ROLE "$1" NOLOGIN PASSWORD NULL;
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '$1' HAVING count(*) > 0;
SQL
}

# All logins of the role but this one; the others may be added.
shut_out_others() {
  stays=$1
  shift
  for user in "$role" "${role}_a" "${role}_b" "$@"; do
    exists=$(echo "SELECT count(*) FROM pg_roles WHERE rolname = '$user'" | as_superuser)
    if [ "$user" != "$stays" ] && [ "$exists" -gt 0 ]; then shut_out "$user"; fi
  done
}

# Lets the next value in, and proves it.
let_in() {
  {
    cat <<'SQL'
\set role `printf %s "$role"`
\set login `sed -n '2s/^next //p' "$file"`
SQL
    cat "$here/login-role.sql"
  } | as_superuser
  logs_in "$(marked next)"
}

# The logins that take turns, and an administrator of them who cannot act as them, for the database engine of a secret store.
prepare() {
  {
    cat <<'SQL'
\set role `printf %s "$role"`
\set database `printf %s "$POSTGRES_DB"`
SQL
    cat "$here/login-administrator.sql"
  } | as_superuser
}

case $act in
prepare) prepare ;;
check) logs_in "$(in_use "$file")" ;;
apply) if [ -n "$(marked next)" ]; then let_in; fi ;;
# Readers connect anew while nobody uses a connection; who does not is cut off when the login is shut out.
drained)
  before=$(user_of "$(marked previous)")
  [ -n "$(marked previous)" ] || exit 0
  # A connection that was begun just before is not seen yet.
  sleep 3
  until=$(($(date +%s) + 75))
  while sessions=$(sessions_of "$before") && [ "$sessions" -gt 0 ] && [ "$(date +%s)" -lt "$until" ]; do sleep 1; done
  [ "$sessions" -eq 0 ] || echo "$sessions sessions of $before are left, and are ended"
  ;;
retire)
  before=$(marked previous)
  [ -n "$before" ] || exit 0
  logs_in "$(in_use "$file")"
  now=$(user_of "$(in_use "$file")")
  if [ "$now" != "$role" ]; then
    # An older release, rolled back to, lets the role itself in with the whole line as its password.
    shut_out_others "$now"
    is_refused "$role:$before"
  fi
  is_refused "$before"
  ;;
revoke)
  shut_out_others "" "${role}_admin"
  is_refused "$(in_use "$file")"
  ;;
*)
  echo "unknown act $act; expected prepare, check, apply, drained, retire or revoke" >&2
  exit 2
  ;;
esac
