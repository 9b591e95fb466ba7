//! What a host does before it has a program of ours: POSIX shell with `tar`, `gzip` and `sha256sum`.

/// Is set where a command came over a connection: the environment is on that machine.
pub const ON_HOST: &str = "FLOWSHIP_ON_HOST";

/// The folder of the environment `$1` as [`crate::deployment::Deployed`] finds it: a host without a program of ours has
/// nothing else that could tell.
macro_rules! here {
    () => {
        r#"set -u
umask 022
state=${FLOWSHIP_STATE:-}
if [ -z "$state" ]; then
  case $(id -u):${XDG_STATE_HOME:-} in
    0:*) state=/var/lib/flowship ;;
    *:/*) state=$XDG_STATE_HOME/flowship ;;
    *) state=$HOME/.local/state/flowship ;;
  esac
fi
here=$state/$1
# Quotes within a value are escaped, so this finds nothing else.
current=$(sed -n 's/.*"to":"\([^"]*\)".*"result":"done".*/\1/p' "$here/history.jsonl" 2>/dev/null | tail -n 1)
"#
    };
}

/// `ENV DIGEST`: what must be known of a host before anything is copied. Changes nothing.
pub const SURVEY: &str = concat!(
    here!(),
    r#"
incoming=$here/incoming/$2
echo "here $here"
echo "current $current"
echo "machine $(uname -m)"
place=$here
while [ ! -d "$place" ]; do place=$(dirname "$place"); done
[ -w "$place" ] && echo "writable yes"
echo "free $(df -Pk "$place" | tail -n 1)"
for program in tar gzip sha256sum; do command -v $program >/dev/null 2>&1 || echo "lacks $program"; done
if [ -d "$incoming/files" ]; then echo "whole yes"; fi
if [ -f "$incoming/archive.tar" ]; then echo "received $(wc -c < "$incoming/archive.tar")"; fi
"#
);

/// `INCOMING BLOCKS`: what is sent belongs behind so many blocks of [`BLOCK`] bytes. Two that send at once write the same.
pub const RECEIVE: &str = r#"set -eu
umask 022
mkdir -p "$1"
dd of="$1/archive.tar" bs=65536 seek="$2" conv=notrunc
"#;

pub const BLOCK: u64 = 65536;

/// `INCOMING DIGEST BUNDLE [OPERATOR]`: checks what was received and unpacks the program. What was sent before is removed,
/// and what nobody went on sending for a day.
pub const ACCEPT: &str = r#"set -eu
umask 022
cd "$1"
[ ! -d files ] || exit 0
rm -rf "partial.$$"
mkdir "partial.$$" "partial.$$/files" "partial.$$/program"
(
  cd "partial.$$/files"
  tar -xf ../../archive.tar && echo "$2  SHA256SUMS" | sha256sum -c - && sha256sum -c SHA256SUMS
) >/dev/null || {
  rm -rf "partial.$$" archive.tar
  echo "the copied files have wrong checksums and were removed: deploy again" >&2
  exit 1
}
shift 2
for archive in "$@"; do gzip -dc "partial.$$/files/$archive" | tar -xf - -C "partial.$$/program"; done
rm -rf program
mv "partial.$$/program" program
mv "partial.$$/files" files
rm -rf partial.* archive.tar
for other in ../*/; do
  if [ "$other" != "../${PWD##*/}/" ] && [ -d "$other/files" ]; then rm -rf "$other"; fi
done
find .. -name archive.tar -mtime +0 -exec rm -f {} +
"#;

/// `PROGRAM WORD..`: the first line is the process that somebody may want to stop.
pub const RUN: &str = r#"echo "$$"
FLOWSHIP_ON_HOST=1 exec "$@"
"#;

/// `PROCESS`
pub const STOP: &str = r#"kill -INT "$1""#;

/// `ENV`: the release that runs.
pub const CURRENT: &str = concat!(here!(), r#"echo "current $current""#);

/// `ENV ID`: its files.
pub const FETCH: &str = concat!(here!(), r#"exec tar -cf - -C "$here/releases/$2/files" ."#);

/// `ENV WORD..`: as [`RUN`], by the release that runs, or the one that was installed last where none came to run.
pub const FORWARD: &str = concat!(
    here!(),
    r#"
release=$here/releases/$current
if [ -z "$current" ]; then
  release=$(dirname "$(ls -t "$here"/releases/*/installed.json 2>/dev/null | head -n 1)")
fi
if [ ! -x "$release/tree/flowship" ]; then
  echo "error: no release has been deployed to $1 on this host ($(uname -n): $here)" >&2
  exit 2
fi
shift
echo "$$"
FLOWSHIP_ON_HOST=1 exec "$release/tree/flowship" --root "$release/tree" "$@"
"#
);

/// What a script says of something: the rest of the line that begins with the word. Other lines are those of a shell that
/// greets.
pub fn said<'a>(lines: &'a str, word: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::trim)
}
