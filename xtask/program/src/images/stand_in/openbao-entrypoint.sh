#!/bin/sh
# Options and `server` are for bao; a server reads the folder of the configuration.
set -e
case "${1-}" in
-*) set -- bao "$@" ;;
server)
    shift
    set -- bao server -config=/openbao/config "$@"
    ;;
esac
exec "$@"
