#!/bin/bash
# Asks a service for its health from inside its container, where there is no other program that could.
#
#     probe.bash HOST_VARIABLE PORT_VARIABLE PATH
#
# The variables' values say where it listens. A GET must answer 2xx. What was answered instead is printed: the engine
# keeps it beside the result.
set -eu

host=${!1}
port=${!2}
exec 3<>"/dev/tcp/$host/$port"

printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$3" "$host" >&3
read -r _ status _ <&3
[[ $status == 2?? ]] && exit 0

printf '%s answered %s\n' "$3" "$status"
while read -r line || [[ -n $line ]]; do printf '%s\n' "$line"; done <&3
exit 1
