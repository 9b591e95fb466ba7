#!/bin/sh
# What is neither an option nor the name of a program is a script for node.
set -e
case "${1-}" in
-*) set -- node "$@" ;;
*) command -v -- "${1-}" >/dev/null || set -- node "$@" ;;
esac
exec "$@"
