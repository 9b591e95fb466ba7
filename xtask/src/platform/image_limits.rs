//! What each image that we build may weigh and hold, by its target in the Dockerfile.

/// The limits of one built image.
#[derive(Debug, Clone, Copy)]
pub struct ImageLimits {
    pub target: &'static str,
    /// MiB of the files that a container sees, at most.
    pub mebibytes: u64,
    /// Of [`TOOLS`], those it needs to run.
    pub tools: &'static [&'static str],
}

pub const LIMITS: &[ImageLimits] = &[
    // bash asks for the health: it opens a connection without a further program.
    ImageLimits { target: "node-red", mebibytes: 300, tools: &["bash"] },
    ImageLimits { target: "mcp-tools", mebibytes: 200, tools: &["bash"] },
    // Its program is a shell script; psql is what it is for.
    ImageLimits { target: "migrate", mebibytes: 100, tools: &["sh", "dash"] },
    ImageLimits { target: "barman", mebibytes: 400, tools: &["sh", "dash", "python3"] },
];

/// For a target that has no limits of its own.
pub const STRICTEST: ImageLimits = ImageLimits { target: "", mebibytes: 260, tools: &[] };

/// Programs that serve an intruder: shells, interpreters, downloaders, compilers, package managers, ways to another
/// user or another host. An image holds only those that its limits name.
pub const TOOLS: &[&str] = &[
    // Shells.
    "sh", "bash", "dash", "ash", "zsh", "busybox", // Interpreters.
    "perl", "python", "python2", "python3", "ruby", "lua", "tclsh", "awk", "gawk", "mawk",
    // Ways to other hosts.
    "curl", "wget", "ftp", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "scp", "rsync",
    // Compilers and debuggers.
    "gcc", "cc", "g++", "clang", "make", "ld", "as", "gdb", "strace", // Package managers.
    "apt", "apt-get", "dpkg", "apk", "yum", "dnf", "rpm", "pip", "pip3", "npm", "npx", "yarn", "corepack",
    // Ways to other users.
    "su", "sudo", "mount", "umount", "passwd", "chsh", "newgrp", "nsenter", "unshare", "chroot",
];
