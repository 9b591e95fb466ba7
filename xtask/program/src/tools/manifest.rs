//! Whether an entry of the cache is still what was installed: nothing runs from the cache before this was looked at.
//!
//! Each entry holds a list of its files, an mtree(5) manifest: type, executable bit, size and SHA-256 of each file, the
//! target of each link. Reading 200 MB for every command would be slow, so a stamp remembers the inode numbers, sizes and
//! times with which the files last agreed with the list: no program can set the change time of a file. While the stamp
//! agrees no file is read; when it does not, all are.
//!
//! This finds programs that an accident, another program or a person changed. It is no defence against who can write
//! to the cache and wants to deceive: the list lies beside the files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use walkdir::WalkDir;

use foundation::digest::{self, Hasher};
use foundation::files;

/// The list, in the entry that it is of.
pub const LIST: &str = "installed.mtree";
/// As the list has it. mtree wants folders before what is in them; nothing is judged by them.
const FOLDER: &str = "type=dir";
/// Bytes; ours have 3 million.
const LONGEST_LIST: u64 = 64 << 20;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Absent,
    /// There, without a list: an earlier version of this program made it, or something deleted the list.
    Unlisted,
    Whole,
    /// What differs from what was installed, as a sentence without its end.
    Changed(String),
}

/// Lists the files of a folder in it.
///
/// # Errors
/// When it cannot be read or written.
pub fn write(folder: &Path) -> Result<()> {
    let mut lines = BTreeMap::new();
    for (path, metadata) in below(folder)?.into_iter().filter(|(path, _)| path != LIST) {
        for folder in Path::new(&path).ancestors().skip(1) {
            lines.entry(name(folder)).or_insert_with(|| FOLDER.to_owned());
        }
        lines.insert(name(Path::new(&path)), What::of(&folder.join(&path), &metadata)?.to_string());
    }
    let lines = lines.iter().map(|(name, what)| format!("{name} {what}\n"));
    let list = folder.join(LIST);
    fs::write(&list, format!("#mtree\n{}", lines.collect::<String>()))
        .with_context(|| format!("cannot write {}", list.display()))
}

/// `./a/b`, and `.` for nothing.
fn name(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { format!("./{}", encoded(path.as_os_str())) }
}

/// Compares a folder with its list, by the stamp alone where that agrees.
pub fn look(folder: &Path, stamp: &Path) -> State {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return State::Absent,
        Err(error) => return State::Changed(format!("{} cannot be read: {error}", folder.display())),
        Ok(found) if !found.is_dir() => {
            return State::Changed(format!("{} is no longer a folder", folder.display()));
        }
        Ok(_) => {}
    }
    let found = match below(folder) {
        Ok(found) => found,
        Err(error) => return State::Changed(format!("{} cannot be read: {error}", folder.display())),
    };
    // Before any file is read: one that changes meanwhile must not have its new times remembered.
    let now = stamped(&found);
    if files::text(stamp, 64).is_ok_and(|text| text == now) {
        return State::Whole;
    }
    if !found.iter().any(|(path, _)| path == LIST) {
        return State::Unlisted;
    }
    match differences(folder, &found) {
        Ok(differences) => match differences.split_first() {
            None => {
                // Without it the next look reads every file again: slower, and no less sure.
                let _ = files::write::whole(stamp, 0o600, &now);
                State::Whole
            }
            Some((first, [])) => State::Changed(first.clone()),
            Some((first, others)) => {
                State::Changed(format!("{first}, and {} more files differ", others.len()))
            }
        },
        Err(error) => State::Changed(format!("{error:#}")),
    }
}

/// Remembers that a folder, just installed, agrees with its list.
pub fn remember(folder: &Path, stamp: &Path) {
    // What is not remembered is compared.
    let _ = below(folder).map(|files| files::write::whole(stamp, 0o600, stamped(&files)));
}

/// The SHA-256 of a file, as the list of its folder has it.
///
/// # Errors
/// When the list cannot be read or has no such file.
pub fn listed_sha256(folder: &Path, file: &str) -> Result<String> {
    match list(folder)?.remove(&encoded(file.as_ref())) {
        Some(What::File { sha256, .. }) => Ok(sha256),
        _ => bail!("{} lists no file {file}", folder.join(LIST).display()),
    }
}

/// A file or link, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    File {
        executable: bool,
        size: u64,
        sha256: String,
    },
    Link(String),
    /// A device, a pipe, a socket.
    Special,
}

impl What {
    fn of(path: &Path, metadata: &Metadata) -> Result<Self> {
        if metadata.is_symlink() {
            return Ok(Self::Link(encoded(fs::read_link(path)?.as_os_str())));
        }
        if !metadata.is_file() {
            return Ok(Self::Special);
        }
        Ok(Self::File {
            executable: executable(metadata),
            size: metadata.len(),
            sha256: digest::of_file(path)?.sha256,
        })
    }

    fn parse(words: &str) -> Option<Self> {
        let words: BTreeMap<_, _> = words.split(' ').filter_map(|word| word.split_once('=')).collect();
        match *words.get("type")? {
            "link" => Some(Self::Link((*words.get("link")?).to_owned())),
            "file" => Some(Self::File {
                executable: *words.get("mode")? == "0755",
                size: words.get("size")?.parse().ok()?,
                sha256: (*words.get("sha256digest")?).to_owned(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { executable, size, sha256 } => {
                let mode = if *executable { "0755" } else { "0644" };
                write!(out, "type=file mode={mode} size={size} sha256digest={sha256}")
            }
            Self::Link(target) => write!(out, "type=link link={target}"),
            Self::Special => out.write_str("type=char"),
        }
    }
}

/// In the order in which the file system lists them.
type Files = Vec<(OsString, Metadata)>;

/// What lies below a folder, other than folders, by path below it.
fn below(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            let path = entry.path().as_os_str().as_bytes();
            let path = OsStr::from_bytes(&path[folder.as_os_str().len() + 1..]);
            files.push((path.to_owned(), entry.metadata()?));
        }
    }
    Ok(files)
}

fn differences(folder: &Path, files: &Files) -> Result<Vec<String>> {
    let mut listed = list(folder)?;
    let mut differences = Vec::new();
    for (path, metadata) in files.iter().filter(|(path, _)| *path != LIST) {
        let name = encoded(path);
        match listed.remove(&name) {
            None => differences.push(format!("{name} was added after the installation")),
            Some(expected) => differences.extend(difference(folder, path, metadata, &expected)?),
        }
    }
    differences.extend(listed.into_keys().map(|name| format!("{name} is missing")));
    Ok(differences)
}

/// How a file differs from what was installed; it is read only when everything else agrees.
fn difference(folder: &Path, path: &OsStr, metadata: &Metadata, expected: &What) -> Result<Option<String>> {
    let name = encoded(path);
    let path = folder.join(path);
    let changed = |expected: String, found: String| {
        Ok(Some(format!("{name} was changed after the installation: expected {expected}, found {found}")))
    };
    if let What::File { executable: was, size, .. } = expected
        && metadata.is_file()
    {
        if metadata.len() != *size {
            return changed(format!("{size} bytes"), format!("{} bytes", metadata.len()));
        }
        if executable(metadata) != *was {
            let word =
                |executable| if executable { "an executable file" } else { "a file that is not executable" };
            return changed(word(*was).to_owned(), word(!was).to_owned());
        }
    }
    let found = What::of(&path, metadata).with_context(|| format!("{name} cannot be read"))?;
    let words = |what: &What| match what {
        What::File { sha256, .. } => format!("a file with SHA-256 {sha256}"),
        What::Link(target) => format!("a link to {target}"),
        What::Special => "a device, pipe or socket".to_owned(),
    };
    if found == *expected { Ok(None) } else { changed(words(expected), words(&found)) }
}

fn list(folder: &Path) -> Result<BTreeMap<String, What>> {
    let unread = || format!("{LIST}, the list of installed files, cannot be read");
    let text = files::text(&folder.join(LIST), LONGEST_LIST).with_context(unread)?;
    let line = |line: &str| {
        let (path, words) = line.strip_prefix("./")?.split_once(' ')?;
        Some((path.to_owned(), What::parse(words)?))
    };
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(FOLDER));
    lines.map(line).collect::<Option<_>>().with_context(unread)
}

fn executable(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o100 != 0
}

/// What changes whenever a file does: no program can set a change time.
fn stamped(files: &Files) -> String {
    let mut hash = Hasher::default();
    for (path, file) in files {
        let numbers = [file.ino(), file.len(), u64::from(file.mode())];
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        hash.add(format!("{} {numbers:?} {times:?}\n", path.display()));
    }
    hash.finish()
}

/// As mtree(5) writes names: what is no visible ASCII as a backslash and three octal digits.
fn encoded(name: &OsStr) -> String {
    name.as_bytes().iter().fold(String::with_capacity(name.len()), |mut text, byte| {
        if byte.is_ascii_graphic() && !b"\\#".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\{byte:03o}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// An entry and where its stamp is.
    struct Entry(TempDir);

    impl Entry {
        fn new() -> Self {
            let entry = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(entry.path("bin")).unwrap();
            fs::write(entry.path("bin/judge"), "#!/bin/sh\nexit 1\n").unwrap();
            fs::set_permissions(entry.path("bin/judge"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(entry.path("a name\\#\u{e9}"), "data").unwrap();
            symlink("bin/judge", entry.path("link")).unwrap();
            write(&entry.folder()).unwrap();
            entry
        }

        fn folder(&self) -> std::path::PathBuf {
            self.0.path().join("entry")
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.folder().join(name)
        }

        fn stamp(&self) -> std::path::PathBuf {
            self.0.path().join("verified/entry")
        }

        fn look(&self) -> State {
            look(&self.folder(), &self.stamp())
        }
    }

    fn make(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    #[test]
    fn whatever_is_done_to_a_file_is_noticed_with_a_stamp_and_without() {
        type Change = fn(&Entry);
        let changes: [(&str, Change); 13] = [
            ("bin/judge was changed after the installation: expected 17 bytes, found 7 bytes", |entry| {
                fs::write(entry.path("bin/judge"), "exit 0\n").unwrap();
            }),
            ("bin/judge was changed after the installation: expected 17 bytes, found 0 bytes", |entry| {
                fs::write(entry.path("bin/judge"), "").unwrap();
            }),
            ("bin/judge was changed after the installation: expected a file with SHA-256 ", |entry| {
                let old = fs::metadata(entry.path("bin/judge")).unwrap().modified().unwrap();
                fs::write(entry.path("bin/judge"), "#!/bin/sh\nexit 0\n").unwrap();
                let file = fs::File::open(entry.path("bin/judge")).unwrap();
                file.set_modified(old).unwrap();
            }),
            ("expected an executable file, found a file that is not executable", |entry| {
                make(&entry.path("bin/judge"), 0o644);
            }),
            ("expected a file that is not executable, found an executable file", |entry| {
                make(&entry.path("a name\\#\u{e9}"), 0o755);
            }),
            ("bin/judge is missing", |entry| fs::remove_file(entry.path("bin/judge")).unwrap()),
            ("bin/more was added after the installation", |entry| {
                fs::write(entry.path("bin/more"), "").unwrap();
            }),
            ("found a link to /bin/true", |entry| {
                fs::remove_file(entry.path("bin/judge")).unwrap();
                symlink("/bin/true", entry.path("bin/judge")).unwrap();
            }),
            (
                "link was changed after the installation: expected a link to bin/judge, found a link to /",
                |entry| {
                    fs::remove_file(entry.path("link")).unwrap();
                    symlink("/bin/true", entry.path("link")).unwrap();
                },
            ),
            ("found a device, pipe or socket", |entry| {
                fs::remove_file(entry.path("bin/judge")).unwrap();
                pipe(&entry.path("bin/judge"));
            }),
            ("a\\040name\\134\\043\\303\\251 was changed", |entry| {
                fs::write(entry.path("a name\\#\u{e9}"), "DATA").unwrap();
            }),
            ("the list of installed files, cannot be read", |entry| {
                fs::write(entry.path(LIST), "nonsense\n").unwrap();
            }),
            ("the list of installed files, cannot be read", |entry| {
                fs::remove_file(entry.path(LIST)).unwrap();
                pipe(&entry.path(LIST));
            }),
        ];
        for (part, change) in changes {
            for stamped in [false, true] {
                let entry = Entry::new();
                if stamped {
                    remember(&entry.folder(), &entry.stamp());
                }
                change(&entry);
                for _ in 0..2 {
                    let State::Changed(how) = entry.look() else { panic!("{part}: {:?}", entry.look()) };
                    assert!(how.contains(part), "{part}: {how}");
                }
            }
        }
    }

    #[test]
    fn what_was_not_changed_is_whole_wherever_it_is_and_whether_that_can_be_remembered_or_not() {
        let entry = Entry::new();
        assert_eq!(look(&entry.folder(), Path::new("/dev/null/stamp")), State::Whole);
        assert_eq!(entry.look(), State::Whole);
        assert!(entry.stamp().is_file());
        // Another inode and other times, the same contents.
        fs::copy(entry.path("bin/judge"), entry.path("copy")).unwrap();
        fs::rename(entry.path("copy"), entry.path("bin/judge")).unwrap();
        assert_eq!(entry.look(), State::Whole);
        fs::write(entry.stamp(), "nonsense").unwrap();
        assert_eq!(entry.look(), State::Whole);
        fs::remove_file(entry.path(LIST)).unwrap();
        assert_eq!(entry.look(), State::Unlisted);
        fs::remove_dir_all(entry.folder()).unwrap();
        assert_eq!(entry.look(), State::Absent);
        fs::write(entry.folder(), "").unwrap();
        assert!(matches!(entry.look(), State::Changed(_)));
    }

    #[test]
    fn several_differences_are_counted_and_the_list_knows_the_sums() {
        let entry = Entry::new();
        assert_eq!(
            listed_sha256(&entry.folder(), "bin/judge").unwrap(),
            digest::of_file(&entry.path("bin/judge")).unwrap().sha256
        );
        assert!(listed_sha256(&entry.folder(), "link").is_err());
        for name in ["bin/judge", "a name\\#\u{e9}", "link"] {
            fs::remove_file(entry.path(name)).unwrap();
        }
        let State::Changed(how) = entry.look() else { panic!() };
        assert!(how.ends_with("is missing, and 2 more files differ"), "{how}");
    }
}
