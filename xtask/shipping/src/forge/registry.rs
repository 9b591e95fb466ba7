//! A registry of container images, as the OCI distribution specification has it: an archive is pushed as it is, so that
//! its digest stays what was verified. No container engine is needed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use ureq::http::{self, Response};
use ureq::{Body, SendBody};

use foundation::digest;
use foundation::files;
use foundation::interrupt::Interrupt;

/// Until a request must be answered, a layer of some GiB too.
const LIMIT: Duration = Duration::from_secs(1800);
/// Until somebody must be there.
const THERE: Duration = Duration::from_secs(20);
/// Longer than any index, manifest or answer that is read whole.
const LONGEST: u64 = 4 << 20;

/// A registry, with the credentials for it.
pub struct Registry {
    /// `https://ghcr.io`; a registry of this machine speaks HTTP.
    base: String,
    token: Option<SecretString>,
    interrupt: Interrupt,
    agent: ureq::Agent,
    /// What the registry wants to see in the header `authorization`, once it has asked.
    authorization: Mutex<Option<SecretString>>,
}

/// An image in an archive of the OCI layout.
pub struct Image {
    file: File,
    /// `sha256:...` of its manifest.
    pub digest: String,
    manifest: Vec<u8>,
    media_type: String,
    blobs: Vec<Blob>,
}

struct Blob {
    digest: String,
    offset: u64,
    size: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
}

impl Image {
    /// Opens an archive that was verified.
    ///
    /// # Errors
    /// When it is no OCI layout with one image, or lacks a part of it.
    pub fn open(path: &Path) -> Result<Self> {
        let place = || format!("{}: expected an OCI archive of one image", path.display());
        let mut found = std::collections::BTreeMap::new();
        let mut archive = tar::Archive::new(files::open_within(path, files::ARCHIVE)?);
        for entry in archive.entries_with_seek().with_context(place)?.raw(true) {
            let entry = entry.with_context(place)?;
            let name = entry.path().with_context(place)?.to_string_lossy().into_owned();
            found.insert(name, (entry.raw_file_position(), entry.size()));
        }
        let mut file = files::open_within(path, files::ARCHIVE)?;
        let mut part = |name: &str| -> Result<Vec<u8>> {
            let (offset, size) = found.get(name).with_context(|| format!("{}: no {name}", place()))?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(*offset))?;
            (&file).take((*size).min(LONGEST)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let index: Index = serde_json::from_slice(&part("index.json")?).with_context(place)?;
        let [of_image] = index.manifests.as_slice() else { bail!("{}", place()) };
        let manifest = part(&blob_name(&of_image.digest))?;
        let sha256 = digest::sha256(&manifest);
        if of_image.digest != format!("sha256:{sha256}") {
            bail!("{}: its manifest is not {}", path.display(), of_image.digest);
        }
        let parts: Manifest = serde_json::from_slice(&manifest).with_context(place)?;
        let blobs = [parts.config].into_iter().chain(parts.layers).map(|part| {
            let name = blob_name(&part.digest);
            let (offset, size) = *found.get(&name).with_context(|| format!("{}: no {name}", place()))?;
            Ok(Blob { digest: part.digest, offset, size })
        });
        let blobs = blobs.collect::<Result<_>>()?;
        let Descriptor { media_type, digest } = &of_image;
        Ok(Self { digest: digest.clone(), media_type: media_type.clone(), manifest, blobs, file })
    }
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

impl Registry {
    /// The registry at `host`, such as `ghcr.io`.
    pub fn at(host: &str, token: Option<String>, interrupt: &Interrupt) -> Self {
        let local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host.starts_with(local));
        let scheme = if local { "http" } else { "https" };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .timeout_connect(Some(THERE))
            .http_status_as_error(false);
        // What runs on this machine is not behind a proxy.
        let config = if local { config.proxy(None) } else { config };
        Self {
            base: format!("{scheme}://{host}"),
            token: token.map(SecretString::from),
            interrupt: interrupt.clone(),
            agent: config.build().new_agent(),
            authorization: Mutex::new(None),
        }
    }

    /// The digest that a tag or a digest stands for; none when it is not there.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses, here and below.
    pub fn digest(&self, repository: &str, reference: &str) -> Result<Option<String>> {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.base);
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
        let answer = self.send("HEAD", &url, repository, &[("accept", accept)], None)?;
        match answer.status().as_u16() {
            200 => {
                let digest =
                    answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
                let digest = digest.map(str::to_owned);
                Ok(Some(digest.ok_or_else(|| anyhow!("HEAD {url}: no header Docker-Content-Digest"))?))
            }
            404 => Ok(None),
            _ => Err(unexpected("HEAD", &url, answer)),
        }
    }

    /// Pushes what the registry lacks of the image, and the manifest last, by its digest. Whether anything was lacking.
    pub fn push(&self, repository: &str, image: &Image) -> Result<bool> {
        if self.digest(repository, &image.digest)?.is_some() {
            return Ok(false);
        }
        for blob in &image.blobs {
            self.push_blob(repository, image, blob).with_context(|| format!("pushing {}", blob.digest))?;
        }
        self.put_manifest(repository, &image.digest, image)?;
        Ok(true)
    }

    /// Names a pushed image.
    pub fn tag(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        self.put_manifest(repository, tag, image)
    }

    fn put_manifest(&self, repository: &str, reference: &str, image: &Image) -> Result<()> {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.base);
        let body = Some(Sent::Bytes(&image.manifest));
        let answer = self.send("PUT", &url, repository, &[("content-type", &image.media_type)], body)?;
        if answer.status().as_u16() == 201 { Ok(()) } else { Err(unexpected("PUT", &url, answer)) }
    }

    fn push_blob(&self, repository: &str, image: &Image, blob: &Blob) -> Result<()> {
        let url = format!("{}/v2/{repository}/blobs/{}", self.base, blob.digest);
        let answer = self.send("HEAD", &url, repository, &[], None)?;
        match answer.status().as_u16() {
            200 => return Ok(()),
            404 => {}
            _ => return Err(unexpected("HEAD", &url, answer)),
        }
        let url = format!("{}/v2/{repository}/blobs/uploads/", self.base);
        let answer = self.send("POST", &url, repository, &[], Some(Sent::Bytes(b"")))?;
        if answer.status().as_u16() != 202 {
            return Err(unexpected("POST", &url, answer));
        }
        let place = answer.headers().get("location").and_then(|place| place.to_str().ok());
        let place = place.with_context(|| format!("POST {url}: no header Location"))?;
        let place = if place.starts_with('/') { format!("{}{place}", self.base) } else { place.to_owned() };
        let joint = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{joint}digest={}", blob.digest);
        let body = Some(Sent::Part(&image.file, blob));
        let answer =
            self.send("PUT", &url, repository, &[("content-type", "application/octet-stream")], body)?;
        if answer.status().as_u16() == 201 { Ok(()) } else { Err(unexpected("PUT", &url, answer)) }
    }

    /// Sends a request; once more with credentials when the registry asks for them.
    fn send(
        &self,
        method: &str,
        url: &str,
        repository: &str,
        headers: &[(&str, &str)],
        body: Option<Sent<'_>>,
    ) -> Result<Response<Body>> {
        let answer = self.send_once(method, url, headers, body.as_ref())?;
        if answer.status().as_u16() != 401 {
            return Ok(answer);
        }
        let asks = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        let authorization = self.authorization(asks.unwrap_or_default(), repository)?;
        if let Ok(mut known) = self.authorization.lock() {
            *known = Some(authorization);
        }
        self.send_once(method, url, headers, body.as_ref())
    }

    fn send_once(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Sent<'_>>,
    ) -> Result<Response<Body>> {
        let place = || format!("{method} {url}");
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // An upload may go to another host, which has a signature in its address and must not see the credentials.
        let known = self.authorization.lock().map(|known| known.clone()).unwrap_or_default();
        if let Some(known) = known.filter(|_| url.starts_with(&format!("{}/", self.base))) {
            request = request.header("authorization", known.expose_secret());
        }
        match body {
            None => self.agent.run(request.body(())?).with_context(place),
            Some(Sent::Bytes(bytes)) => self.agent.run(request.body(*bytes)?).with_context(place),
            Some(Sent::Part(file, blob)) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(blob.offset))?;
                let request = request.header("content-length", blob.size.to_string());
                let body = SendBody::from_owned_reader(Stoppable {
                    inner: file.take(blob.size),
                    interrupt: self.interrupt.clone(),
                });
                self.agent.run(request.body(body)?).with_context(place)
            }
        }
    }

    /// What to send, by what the registry asks for: `Bearer realm="..",service=".."`, or `Basic`.
    fn authorization(&self, asks: &str, repository: &str) -> Result<SecretString> {
        let token = self.token.as_ref().with_context(|| {
            format!("{} requires credentials: set GH_TOKEN to a token that may write packages", self.base)
        })?;
        // Whose token it is does not matter to ghcr.io; others take the name from the same variable.
        let user = std::env::var("GITHUB_ACTOR").unwrap_or_else(|_| "flowship".to_owned());
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{}", token.expose_secret())));
        let Some(rest) = asks.strip_prefix("Bearer ") else { return Ok(basic.into()) };
        let field = |name: &str| -> Option<String> {
            let begun = rest.split_once(&format!("{name}=\""))?.1;
            Some(begun.split_once('"')?.0.to_owned())
        };
        let realm = field("realm").with_context(|| format!("{}: asks for `{asks}`", self.base))?;
        let own = realm.starts_with("https://") || self.base.starts_with("http://");
        if !own {
            bail!("{}: would have the token sent to {realm} without encryption", self.base);
        }
        let service = field("service").unwrap_or_default();
        let request = self.agent.get(&realm).query("service", &service);
        let request = request.query("scope", format!("repository:{repository}:pull,push"));
        let mut answer = request.header("authorization", &basic).call().with_context(|| realm.clone())?;
        if answer.status().as_u16() != 200 {
            return Err(unexpected("GET", &realm, answer));
        }
        #[derive(Deserialize)]
        struct Granted {
            #[serde(alias = "access_token")]
            token: String,
        }
        let text = answer.body_mut().with_config().limit(LONGEST).read_to_string()?;
        let granted: Granted =
            serde_json::from_str(&text).map_err(|_| anyhow!("{realm}: granted no token"))?;
        Ok(format!("Bearer {}", granted.token).into())
    }
}

/// Ends with the run: a layer may take minutes.
struct Stoppable<R> {
    inner: R,
    interrupt: Interrupt,
}

impl<R: std::io::Read> std::io::Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.interrupt.raised() {
            return Err(std::io::Error::other("stopped"));
        }
        self.inner.read(buffer)
    }
}

enum Sent<'a> {
    Bytes(&'a [u8]),
    Part(&'a File, &'a Blob),
}

fn unexpected(method: &str, url: &str, mut answer: Response<Body>) -> anyhow::Error {
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(LONGEST).lossy_utf8(true).read_to_string();
    let text: String = text.unwrap_or_default().chars().take(300).collect();
    // An address of an upload may hold a signature.
    let url = url.split('?').next().unwrap_or_default();
    anyhow!("{method} {url}: the registry answered {status} {text}")
}
