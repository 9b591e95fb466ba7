//! A registry for tests: keeps what the specification asks it to keep, and wants a token first. The tests of the program
//! (`xtask/tests/releases/publishing`) take this file too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha2::{Digest as _, Sha256};

#[derive(Default)]
pub struct Kept {
    /// By `NAME/blobs/DIGEST` and `NAME/manifests/REFERENCE`.
    pub things: BTreeMap<String, Vec<u8>>,
    /// `METHOD path`, in order, without the questions for a token.
    pub requests: Vec<String>,
    /// A request that begins so is answered with 500, once.
    pub fails: Option<&'static str>,
    /// A request that begins so is never answered, once, and has no effect: whoever asks waits until somebody ends him.
    pub hangs: Option<&'static str>,
    /// The same, but it has its effect.
    pub hangs_after: Option<&'static str>,
}

pub fn digest(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

/// A registry on a port of its own, for as long as the test's process lives.
pub fn serve() -> (String, Arc<Mutex<Kept>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let kept = Arc::new(Mutex::new(Kept::default()));
    let (shared, name) = (Arc::clone(&kept), host.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever asked may have been killed.
            let _ = answer(stream.unwrap(), &name, &shared);
        }
    });
    (host, kept)
}

fn answer(mut stream: TcpStream, host: &str, kept: &Mutex<Kept>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found = head.iter().filter_map(|line| line.split_once(": "));
        found.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    assert!(header("transfer-encoding").is_none(), "registries want to know the length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut kept = kept.lock().unwrap();
    let begins = |begin: &mut &str| format!("{method} {path}").starts_with(*begin);
    if kept.hangs.take_if(begins).is_some() {
        drop(kept);
        return reader.read(&mut [0]).map(|_| ());
    }
    let hangs = kept.hangs_after.take_if(begins).is_some();
    let (status, headers, text) =
        respond(method, path, query, header("authorization"), host, body, &mut kept);
    if hangs {
        drop(kept);
        return reader.read(&mut [0]).map(|_| ());
    }
    let text = if method == "HEAD" { String::new() } else { text };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{text}",
        text.len()
    )
}

fn respond(
    method: &str,
    path: &str,
    query: &str,
    authorization: Option<String>,
    host: &str,
    body: Vec<u8>,
    kept: &mut Kept,
) -> (u16, String, String) {
    let plain = |status: u16| (status, String::new(), String::new());
    if path == "/token" {
        let good = authorization.is_some_and(|value| value.starts_with("Basic "))
            && query.contains("service=here")
            && query.contains("pull");
        return if good { (200, String::new(), r#"{"token":"granted"}"#.to_owned()) } else { plain(403) };
    }
    if authorization.as_deref() != Some("Bearer granted") {
        let asks = format!("www-authenticate: Bearer realm=\"http://{host}/token\",service=\"here\"\r\n");
        return (401, asks, String::new());
    }
    kept.requests.push(format!("{method} {path}"));
    if kept.fails.is_some_and(|begin| format!("{method} {path}").starts_with(begin)) {
        kept.fails = None;
        return (500, String::new(), "broken".to_owned());
    }
    let name = path.trim_start_matches("/v2/").to_owned();
    match method {
        "HEAD" => match kept.things.get(&name) {
            Some(bytes) => (200, format!("docker-content-digest: {}\r\n", digest(bytes)), String::new()),
            None => plain(404),
        },
        "POST" => (202, format!("location: {path}one?state=x\r\n"), String::new()),
        "PUT" if name.contains("/uploads/") => {
            let wanted = query.rsplit_once("digest=").unwrap().1;
            assert_eq!(digest(&body), wanted, "what arrives is what was named");
            kept.things.insert(format!("{}/blobs/{wanted}", name.split("/blobs/").next().unwrap()), body);
            plain(201)
        }
        "PUT" => {
            kept.things.insert(
                format!("{}/manifests/{}", name.split("/manifests/").next().unwrap(), digest(&body)),
                body.clone(),
            );
            kept.things.insert(name, body);
            plain(201)
        }
        _ => plain(405),
    }
}

/// Writes an archive of one image with two layers.
pub fn write_archive(path: &Path) {
    let (config, layers) = (b"{}".to_vec(), [vec![7_u8; 300_000], b"second".to_vec()]);
    let part = |kind: &str, bytes: &[u8]| json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len() });
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "config": part("config.v1+json", &config),
        "layers": layers.iter().map(|layer| part("layer.v1.tar", layer)).collect::<Vec<_>>(),
    }))
    .unwrap();
    let index = serde_json::to_vec(&json!({ "manifests": [part("manifest.v1+json", &manifest)] })).unwrap();
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("index.json", &index);
    for bytes in layers.iter().chain([&config, &manifest]) {
        add(&format!("blobs/{}", digest(bytes).replacen(':', "/", 1)), bytes);
    }
    tar.finish().unwrap();
}
