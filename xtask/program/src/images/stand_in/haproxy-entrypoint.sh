#!/bin/sh
# A master that does not leave the foreground supervises the worker, whatever options are given.
set -e
case "${1-}" in
-*) set -- haproxy "$@" ;;
esac
if [ "${1-}" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
