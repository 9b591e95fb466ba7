//! The supervisor's control socket: what its own clients say, said by a test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::processes::Pid;

pub struct Control {
    socket: PathBuf,
}

impl Control {
    pub fn of(folder: &Path) -> Self {
        Self { socket: folder.join("ctl.sock") }
    }

    #[track_caller]
    pub fn ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer.get("error").is_none(), "{request}: {answer}");
        answer
    }

    /// Ends a service, which then stays so.
    #[track_caller]
    pub fn stop(&self, service: &str) {
        self.ask(&json!({ "ask": "stop", "name": service }));
    }

    /// The supervisor's own process.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let answer = self.ask(&json!({ "ask": "ping" }));
        Pid(answer["pong"]["pid"].as_i64().unwrap().try_into().unwrap())
    }
}
