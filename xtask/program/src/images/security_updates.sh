# Which Debian packages have a newer version in Debian's security archive. Runs in a container of the image's base, which has
# apt and Debian's keys; the packages of the image itself, which has no apt, come on standard input as dpkg records them.
#
#     security_updates.sh < STATUS
#
# The first line is `asked SUITE`, and a line of apt for each update follows; or it is `could not ask: REASON`.
set -u
could_not() { echo "could not ask: $*"; exit 0; }

work=$(mktemp -d)
mkdir -p "$work/lists/partial"
cat >"$work/status"
command -v apt-get >/dev/null || could_not "the base has no apt-get"
suite=$(. /etc/os-release && echo "$VERSION_CODENAME-security")
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security $suite main" >"$work/sources.list"
set -- -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::status=$work/status" \
    -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::Languages=none
said=$(apt-get "$@" -o APT::Update::Error-Mode=any --quiet update 2>&1) || could_not "$(echo "$said" | grep -m 1 '^[EW]:')"
found=$(apt "$@" list --upgradable 2>"$work/errors") || could_not "$(head -n 1 "$work/errors")"
echo "asked $suite"
echo "$found" | grep '\[upgradable from: '
exit 0
