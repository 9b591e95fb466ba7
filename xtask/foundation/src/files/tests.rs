//! Everything that can lie in the place of a file, or on the way to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;

const LIMIT: u64 = 1024;

/// A tree with one of everything that can lie in the place of a file.
fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/file"), "text").unwrap();
    fs::write(at("large"), vec![b'x'; 1025]).unwrap();
    fs::write(at("whole"), vec![b'x'; 1024]).unwrap();
    fs::write(at("binary"), b"ab\xff").unwrap();
    symlink("folder/file", at("link")).unwrap();
    symlink("/dev/zero", at("endless")).unwrap();
    symlink("folder", at("linked-folder")).unwrap();
    symlink("linked-folder", at("link-to-link")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(fifo.success());
    UnixListener::bind(at("socket")).unwrap();
    folder
}

/// What lies in the place of a file, and what the error says.
const REFUSED: [(&str, &str); 10] = [
    ("gone", "gone: there is no such file"),
    ("folder", "folder is a folder; expected a regular file"),
    ("fifo", "fifo is a FIFO; expected a regular file"),
    ("socket", "socket is a socket; expected a regular file"),
    ("link", "link is a symbolic link to folder/file; links are not followed"),
    ("endless", "endless is a symbolic link to /dev/zero; links"),
    ("loop", "loop is a symbolic link to loop; links"),
    ("large", "large is too large; the limit is 1 KiB"),
    ("gone/file", "gone"),
    ("large/file", "large"),
];

#[test]
fn only_a_regular_file_within_the_limit_is_read() {
    let folder = tree();
    let root = Root::open(folder.path()).unwrap();
    for (name, expected) in REFUSED {
        let path = folder.path().join(name);
        let expected = format!("{}/{expected}", folder.path().display());
        for error in [read(&path, LIMIT).unwrap_err(), root.read(name, LIMIT).unwrap_err()] {
            assert!(error.to_string().starts_with(&expected), "{error}\nexpected {expected}");
        }
    }
    assert_eq!(read(&folder.path().join("folder/file"), LIMIT).unwrap().bytes, b"text");
    assert_eq!(root.read("folder/file", LIMIT).unwrap().bytes, b"text");
    assert_eq!(root.read("whole", LIMIT).unwrap().bytes.len(), 1024);
    let error = text(&folder.path().join("binary"), LIMIT).unwrap_err().to_string();
    assert!(error.ends_with("binary: byte 2 is not UTF-8; expected a text file"), "{error}");
    let device = read(Path::new("/dev/zero"), LIMIT).unwrap_err().to_string();
    assert_eq!(device, "/dev/zero is a device; expected a regular file: move it away");
    // Its size is given as 0.
    assert!(matches!(read(Path::new("/proc/self/maps"), 10), Err(Error::TooLarge { .. })));
    assert!(if_there(root.read("gone", LIMIT)).unwrap().is_none());
    assert!(if_there(root.read("fifo", LIMIT)).is_err());
}

#[test]
fn below_a_root_no_part_of_the_way_is_a_link_or_leads_out() {
    let folder = tree();
    let over_link = Root::open(&folder.path().join("link-to-link")).unwrap();
    assert_eq!(over_link.read("file", LIMIT).unwrap().bytes, b"text");
    let root = Root::open(folder.path()).unwrap();
    assert_eq!(read(&folder.path().join("linked-folder/file"), LIMIT).unwrap().bytes, b"text");
    for (name, expected) in [
        ("linked-folder/file", "linked-folder is a symbolic link to folder; links"),
        ("link-to-link/file", "link-to-link is a symbolic link to linked-folder; links"),
        ("large/file", "large is not a folder; expected a folder"),
        ("fifo/file", "fifo is not a folder; expected a folder"),
    ] {
        let error = root.read(name, LIMIT).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    for name in ["../x", "folder/../folder/file", "/etc/passwd", "", "..", "folder/.."] {
        let error = root.read(name, LIMIT).unwrap_err();
        assert!(matches!(error, Error::Io { .. } | Error::Missing { .. }), "{name}: {error}");
    }
    assert!(matches!(Root::open(&folder.path().join("large")), Err(Error::NoFolder { .. })));
}

#[test]
fn a_name_reaches_the_terminal_without_its_controls() {
    use std::os::unix::ffi::OsStrExt as _;
    for (name, expected) in [
        (&b"plain \xc3\xa4"[..], "plain ä"),
        (b"a\x1b[31mb\n", "a\\u{1b}[31mb\\u{a}"),
        ("x\u{202e}txt".as_bytes(), "x\\u{202e}txt"),
        ("\u{2066}\u{200f}\u{61c}\u{2028}".as_bytes(), "\\u{2066}\\u{200f}\\u{61c}\\u{2028}"),
        (b"\xff\x80x", "\\xff\\x80x"),
    ] {
        assert_eq!(shown(Path::new(std::ffi::OsStr::from_bytes(name))), expected);
    }
}

#[test]
fn a_size_is_shown_in_the_unit_that_fits() {
    for (bytes, shown) in [
        (0, "0 B"),
        (512, "512 B"),
        (1536, "1.50 KiB"),
        (16 << 20, "16 MiB"),
        (12_345_678, "11.77 MiB"),
        (3 << 30, "3 GiB"),
    ] {
        assert_eq!(size(bytes), shown);
    }
}
