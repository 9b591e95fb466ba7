//! npm's command line.

/// `npm ci`, wherever it runs: installs exactly what the lock file in the current folder says. Install scripts do not
/// run: a package's code runs when the platform runs it, not before.
///
/// Of npm's defaults a lost connection takes five minutes until it is tried again, and no network more than a minute
/// until it is told.
pub const CI: [&str; 8] = [
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--fetch-timeout=60000",
    "--fetch-retries=3",
    "--fetch-retry-mintimeout=500",
    "--fetch-retry-maxtimeout=4000",
];
