//! Machines whose clocks are an hour off, and are put right, or the other way round, between two deploys.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::site::{Begun, Site};
use crate::ended::Ended;

/// Comes before the C library's own: whatever asks for the time of day gets another one. Waiting is not affected.
const SHIFT: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    const char *seconds = getenv("FLOWSHIP_TEST_CLOCK_SHIFT");
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && seconds && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += atol(seconds);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"#;

const HOUR: i64 = 3600;

/// Commands of a site, at a time that is off.
struct Clocks<'a>(&'a Site);

impl<'a> Clocks<'a> {
    fn of(site: &'a Site) -> Self {
        fs::write(site.path("shift.c"), SHIFT).unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([site.path("shift.so"), site.path("shift.c")])
            .status()
            .unwrap();
        assert!(compiled.success());
        Self(site)
    }

    fn command(&self, seconds: i64, arguments: &[&str]) -> Command {
        let mut command = self.0.command(arguments);
        command
            .env("LD_PRELOAD", self.0.path("shift.so"))
            .env("FLOWSHIP_TEST_CLOCK_SHIFT", seconds.to_string());
        command
    }

    #[track_caller]
    fn done(&self, seconds: i64, arguments: &[&str]) {
        let ended = Ended::of(&self.command(seconds, arguments).output().unwrap());
        assert_eq!(ended.code, Some(0), "{seconds} s off: {ended:#?}");
    }

    fn begin(&self, seconds: i64, arguments: &[&str]) -> Begun {
        self.0.begun(self.command(seconds, arguments))
    }
}

#[track_caller]
fn one_serves(site: &Site, release: &str) {
    assert_eq!(site.release("qa"), release);
    let serving = site.replicas("qa");
    assert!(serving.len() == 2 && serving.values().all(|one| one == release), "{serving:#?}");
    site.done(&["status", "qa"]);
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn a_clock_that_is_an_hour_off_changes_what_is_shown_and_nothing_else() {
    let site = Site::new();
    let files = ["1.0.0", "1.1.0"].map(|version| site.package(version, version));
    let clocks = Clocks::of(&site);

    // Everything that it starts is ahead too.
    clocks.done(HOUR, &site.deploy("qa", &files[0]));
    let first = site.release("qa");
    one_serves(&site, &first);
    assert_eq!(site.through_edge("qa", true), None, "the certificate begins in an hour");

    // The clock is behind, and the deploying process is killed.
    let begun = clocks.begin(-HOUR, &site.deploy("qa", &files[1]));
    begun.await_line("✓ node-red-c takes requests and tasks");
    site.deployer("qa").unwrap().kill();
    begun.ends(0);
    let second = site.release("qa");
    assert_ne!(second, first);
    one_serves(&site, &second);
    assert_eq!(site.through_edge("qa", true), Some(200));
    let times: Vec<String> =
        site.history("qa").iter().map(|entry| entry["at"].as_str().unwrap().to_owned()).collect();
    assert!(times.len() == 2 && times[1] < times[0], "the clocks were off: {times:?}");

    // What ran before is what was deployed before, not what is older.
    site.done(&["rollback", "qa", "--watch", "1"]);
    one_serves(&site, &first);
    clocks.done(HOUR, &["rollback", "qa", "--watch", "1"]);
    one_serves(&site, &second);
    let changes: Vec<Value> = site.history("qa").iter().map(|entry| entry["to"].clone()).collect();
    assert_eq!(changes, [&first, &second, &first, &second].map(|release| Value::from(release.as_str())));
    assert_eq!(site.through_edge("qa", true), Some(200));
}
