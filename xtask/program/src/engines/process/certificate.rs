//! The edge's certificate with its key, as one PEM file: what the site gives, or one that nobody but this machine trusts.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use vocabulary::model::environment::{EngineKind, Environment, Tls};

use super::super::compose::deployed::is_public;
use super::instance::ADDRESS;
use super::secret_memory;
use super::secret_store::{self, Text};
use foundation::clock::{now_ms, seconds, utc};
use foundation::files;

/// Days.
const VALID: &str = "365";
/// Days of one that this program alone trusts, for a server that reads it when it starts: longer than any machine lives.
const VALID_FOR_US: &str = "7300";
/// One that ends within so many seconds is made anew: 30 days.
const RENEWED_BEFORE: &str = "2592000";
/// HAProxy renews a certificate of 47 days four days before it ends, and one of 90 days earlier: three days.
const RENEWED_BY_EDGE: u64 = 259_200;
/// Seconds.
const DAY: u64 = 86_400;
const INSTALL: &str = "openssl cannot be run: install openssl";
/// What openssl says of a chain that does not end.
const NO_ISSUER: &str = "issuer certificate";

/// Makes the file, unless it is there and still right; whether it was made. Paths of the site are below `root`.
///
/// # Errors
/// A file cannot be read or written, or openssl fails.
pub fn ensure(path: &Path, environment: &Environment, root: &Path) -> Result<bool> {
    let stays = match &environment.tls {
        Tls::Files { certificate_file, key_file } => {
            let pem = joined(certificate_file, key_file, root)?;
            fs::read_to_string(path).is_ok_and(|found| found == pem)
        }
        Tls::Acme(_) if fs::read_to_string(path).is_ok_and(|pem| is_issued(&pem, domain(environment))) => {
            true
        }
        // Until an authority has issued one, the edge starts with our own.
        Tls::SelfSigned | Tls::Acme(_) => is_right(path, domain(environment)),
    };
    if stays {
        return Ok(false);
    }
    renew(path, environment, root)?;
    Ok(true)
}

/// Puts a pair into the file: what the site gives, or a new one of our own.
///
/// # Errors
/// A file cannot be read or written, or openssl fails.
pub fn renew(path: &Path, environment: &Environment, root: &Path) -> Result<()> {
    let pem = match &environment.tls {
        Tls::Files { certificate_file, key_file } => joined(certificate_file, key_file, root)?,
        Tls::SelfSigned | Tls::Acme(_) => self_signed(domain(environment), VALID)?,
    };
    let pem = Text::new(pem);
    secret_store::write_file(path, &pem, environment.engine)?;
    secret_memory::keep_certificate(path, &pem)
}

/// Makes a certificate with its key for a server that only this program asks, where there is none.
///
/// # Errors
/// It cannot be written, or openssl fails.
pub fn own(path: &Path) -> Result<()> {
    if !path.exists() {
        files::write::new(path, 0o600, self_signed("localhost", VALID_FOR_US)?)?;
    }
    Ok(())
}

/// A certificate with its key, of our own, that began 300 days ago and ends tomorrow.
///
/// # Errors
/// openssl fails.
pub fn old(domain: &str) -> Result<String> {
    // Only this command of openssl 3.0 lets a certificate begin in the past.
    let folder = files::temporary::folder("flowship-certificate-")?;
    let place = |name: &str| folder.path().join(name).display().to_string();
    let [config, database, key, request] = ["config", "database", "key", "request"].map(place);
    let settings = format!(
        "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN={domain}\n[ca]\ndefault_ca=own\n[own]\ndatabase={database}\n\
         new_certs_dir={}\nrand_serial=yes\ndefault_md=sha256\npolicy=any\nx509_extensions=ext\n[any]\ncommonName=supplied\n\
         [ext]\n{}",
        folder.path().display(),
        extensions(domain)
    );
    fs::write(&config, settings)?;
    fs::write(&database, "")?;
    let run = |words: &[&str]| openssl(words.iter().map(AsRef::as_ref).collect(), "");
    let key_words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    run(&[&key_words[..], &["-config", &config, "-keyout", &key, "-out", &request]].concat())?;
    let now = now_ms() / 1000;
    let time = |seconds: u64| utc(seconds).replace(['-', ':', 'T'], "");
    let (begins, ends) = (time(now - 300 * DAY), time(now + DAY));
    let dates = ["-startdate", &begins, "-enddate", &ends];
    let signs =
        ["ca", "-batch", "-notext", "-selfsign", "-config", &config, "-in", &request, "-keyfile", &key];
    let certificate = run(&[&signs[..], &dates].concat())?;
    Ok(certificate + &fs::read_to_string(&key)?)
}

fn joined(certificate_file: &String, key_file: &String, root: &Path) -> Result<String> {
    let read = |file: &String| fs::read_to_string(root.join(file)).with_context(|| file.clone());
    let (certificate, key) = (read(certificate_file)?, read(key_file)?);
    Ok(format!("{}\n{}\n", certificate.trim_end(), key.trim_end()))
}

/// The certificate that the edge is to serve: the site's own file says so before the edge's does.
///
/// # Errors
/// The file cannot be read, or has no certificate.
pub fn intended(path: &Path, environment: &Environment, root: &Path) -> Result<String> {
    let path = match &environment.tls {
        Tls::Files { certificate_file, .. } => root.join(certificate_file),
        Tls::SelfSigned | Tls::Acme(_) => path.to_owned(),
    };
    let found = first(&files::text(&path, files::TEXT)?);
    found.with_context(|| format!("{}: there is no certificate in it", path.display()))
}

/// The first certificate of a PEM text.
fn first(pem: &str) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let begin = pem.find("-----BEGIN CERTIFICATE-----")?;
    let end = begin + pem[begin..].find(END)? + END.len();
    Some(pem[begin..end].lines().map(str::trim).collect::<Vec<_>>().join("\n"))
}

/// The certificate that the edge at this address serves for this name, trusted or not.
///
/// # Errors
/// There is no handshake until then.
pub fn served(at: SocketAddr, name: &str, until: Instant) -> Result<String> {
    let at = at.to_string();
    let argv = ["s_client", "-connect", &at, "-servername", name].map(AsRef::as_ref);
    let output = handshake(&argv, &at, until)?;
    first(&String::from_utf8_lossy(&output.stdout)).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "{at} serves no certificate for {name}: {}",
            said.lines().next().unwrap_or("openssl says nothing")
        )
    })
}

/// The name that clients call the edge by.
pub fn domain(environment: &Environment) -> &str {
    if environment.domain.is_empty() { "localhost" } else { &environment.domain }
}

/// What is wrong with what the site says of its certificate.
pub fn problem(environment: &Environment, root: &Path) -> Option<String> {
    let file = format!("ops/environments/{}.toml", environment.name);
    match &environment.tls {
        Tls::SelfSigned => None,
        Tls::Acme(_) if environment.listen.is_none() && !publishes(environment) => Some(format!(
            "{file}: acme_contact under [tls]: the authority must be able to connect to port 80 of {}; expected a table \
             [listen] that leads there",
            environment.domain
        )),
        Tls::Acme(acme) => {
            let trusted = acme.acme_ca_file.as_ref()?;
            let wrong = public_key(&root.join(trusted), &["x509", "-noout", "-pubkey"]).err()?;
            Some(format!("{file}: acme_ca_file under [tls]: {trusted}: {wrong:#}"))
        }
        Tls::Files { certificate_file, key_file } => {
            let of = |setting: &str, name: &String, argv: &[&str]| {
                let key = public_key(&root.join(name), argv);
                key.map_err(|error| format!("{file}: {setting} under [tls]: {name}: {error:#}"))
            };
            let certificate = of("certificate_file", certificate_file, &["x509", "-noout", "-pubkey"]);
            let key = of("key_file", key_file, &["pkey", "-pubout", "-passin", "pass:"]);
            match (certificate, key) {
                (Ok(certificate), Ok(key)) if certificate == key => None,
                (Ok(_), Ok(_)) => Some(format!(
                    "{file}: [tls]: {key_file} is not the key of the certificate in {certificate_file}; expected a pair"
                )),
                (certificate, key) => {
                    let wrong: Vec<_> = [certificate.err(), key.err()].into_iter().flatten().collect();
                    Some(wrong.join("\n"))
                }
            }
        }
    }
}

/// Whether containers are published at the ports that clients expect, without a table [listen].
fn publishes(environment: &Environment) -> bool {
    environment.engine == EngineKind::Compose && is_public(environment)
}

/// Why clients may refuse the certificate of the site, which the edge serves all the same: whoever trusts the missing one does
/// not need it.
pub fn doubt(environment: &Environment, root: &Path) -> Option<String> {
    let Tls::Files { certificate_file, .. } = &environment.tls else { return None };
    let path = root.join(certificate_file);
    let verify = |with: &str| {
        openssl(["verify".as_ref(), with.as_ref(), path.as_os_str(), path.as_os_str()].to_vec(), "")
    };
    // Its chain ends in the file, or at what this machine trusts.
    let missing = ["-CAfile", "-untrusted"]
        .iter()
        .all(|with| verify(with).is_err_and(|error| format!("{error:#}").contains(NO_ISSUER)));
    missing.then(|| {
        let words = ["x509", "-noout", "-issuer", "-in"].into_iter().map(AsRef::as_ref);
        let issuer = openssl(words.chain([path.as_os_str()]).collect(), "");
        format!(
            "ops/environments/{}.toml: certificate_file under [tls]: {certificate_file} does not contain the certificate of \
             its issuer ({}), and this machine does not trust it; clients that do not know it refuse the connection: append it",
            environment.name,
            issuer.unwrap_or_default().trim()
        )
    })
}

/// Whether the edge at this address serves the certificate in `pem`, for this name and now. It is trusted also where the file
/// does not have the chain to its issuer: the site gave it.
///
/// # Errors
/// It does not; or it gives no answer until then.
pub fn is_served(pem: &Path, at: SocketAddr, name: &str, until: Instant) -> Result<()> {
    let at = at.to_string();
    let words = ["s_client", "-brief", "-verify_return_error", "-partial_chain", "-connect", &at];
    let words = words.into_iter().chain(["-servername", name, "-verify_hostname", name, "-CAfile"]);
    let argv = words.map(AsRef::as_ref).chain([pem.as_os_str()]);
    let output = handshake(&argv.collect::<Vec<&OsStr>>(), &at, until)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().find(|line| line.contains("error")).unwrap_or("openssl says nothing");
    bail!("{at} does not serve the certificate of this environment for {name}: {why}")
}

/// What openssl's client says, which ends the connection at once.
fn handshake(argv: &[&OsStr], at: &str, until: Instant) -> Result<Output> {
    let command = duct::cmd("openssl", argv).stdin_null().stdout_capture().stderr_capture().unchecked();
    let handle = command.start().context(INSTALL)?;
    let Some(output) = handle.wait_deadline(until)? else {
        handle.kill()?;
        bail!("{at}: no answer to a TLS handshake in time");
    };
    Ok(output.clone())
}

/// In PEM, as openssl reads it out of a file.
fn public_key(path: &Path, argv: &[&str]) -> Result<String> {
    fs::File::open(path)?;
    let argv = argv.iter().map(AsRef::as_ref).chain(["-in".as_ref(), path.as_os_str()]);
    openssl(argv.collect::<Vec<_>>(), "")
        .context("openssl does not read it; expected PEM without a passphrase")
}

/// When the certificate in a file is to be made anew, in seconds since 1970: so long before its end as one of ours is, or when
/// the edge should have renewed it.
///
/// # Errors
/// It is no certificate, or openssl is older than 3.0.
pub fn due(path: &Path, tls: &Tls) -> Result<u64> {
    let words = ["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"].into_iter().map(AsRef::as_ref);
    let said = openssl(words.chain([path.as_os_str()]).collect(), "")?;
    let end = said.trim().strip_prefix("notAfter=").map(|end| end.replacen(' ', "T", 1));
    let end = end.and_then(|end| seconds(&end)).with_context(|| format!("openssl says {said:?}"))?;
    let before = match tls {
        Tls::Acme(_) => RENEWED_BY_EDGE,
        Tls::SelfSigned | Tls::Files { .. } => RENEWED_BEFORE.parse()?,
    };
    Ok(end.saturating_sub(before))
}

/// Whether an authority has issued this certificate for the name, and it has not ended.
pub fn is_issued(pem: &str, domain: &str) -> bool {
    let says = |words: &[&str]| {
        let words = ["x509", "-noout"].iter().chain(words).map(AsRef::as_ref);
        openssl(words.collect(), pem).unwrap_or_default()
    };
    let name = |which: &str| says(&[which]).split_once('=').map(|(_, name)| name.trim().to_owned());
    says(&["-checkend", "0"]).contains("will not expire")
        && says(&["-checkhost", domain]).contains("does match certificate")
        && name("-issuer") != name("-subject")
}

/// Whether a certificate of this name has begun, and goes on for a while. One that was made while the clock was ahead has
/// not begun.
fn is_right(path: &Path, domain: &str) -> bool {
    let says = |question: &[&str], answer: &str| {
        let words = question.iter().map(AsRef::as_ref).chain([path.as_os_str()]);
        openssl(words.collect(), "").is_ok_and(|said| said.contains(answer))
    };
    says(&["x509", "-noout", "-checkend", RENEWED_BEFORE, "-in"], "will not expire")
        && says(&["x509", "-noout", "-checkhost", domain, "-in"], "does match certificate")
        && path.to_str().is_some_and(|itself| says(&["verify", "-CAfile", itself], ": OK"))
}

fn self_signed(domain: &str, days: &str) -> Result<String> {
    let config = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN={domain}\n[ext]\n{}",
        extensions(domain)
    );
    // As Mozilla's guideline has it; a handshake takes a tenth of what RSA takes.
    let words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        days,
    ];
    let files = ["-config", "/dev/stdin", "-keyout", "/dev/stdout", "-out", "/dev/stdout"];
    let words = words.into_iter().chain(files);
    openssl(words.map(AsRef::as_ref).collect(), &config)
}

fn extensions(domain: &str) -> String {
    format!("basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:{domain},DNS:localhost,IP:{ADDRESS}\n")
}

fn openssl(argv: Vec<&OsStr>, input: &str) -> Result<String> {
    let output = duct::cmd("openssl", argv)
        .stdin_bytes(input)
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .context(INSTALL)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("openssl: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use vocabulary::model::environment::{Acme, EngineKind, Listen};

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_again_for_another_domain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pem");
        let mut environment = Environment { domain: "flows.example.com".into(), ..Environment::default() };
        let mut ensure = |domain: &str| {
            environment.domain = domain.to_owned();
            ensure(&path, &environment, folder.path()).unwrap()
        };
        assert!(ensure("flows.example.com"));
        assert!(!ensure("flows.example.com"));
        assert!(ensure("other.example.com"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "nonsense").unwrap();
        assert!(ensure("other.example.com"));
    }

    #[test]
    fn a_container_reads_the_new_certificate_from_the_file_that_it_has_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pem");
        for (engine, stays) in [(EngineKind::Compose, true), (EngineKind::Process, false)] {
            let of = |domain: &str| Environment { domain: domain.into(), engine, ..Environment::default() };
            ensure(&path, &of("one.example.com"), folder.path()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            // As a mount does, this holds the file and not its name.
            let mut mounted = fs::File::open(&path).unwrap();
            assert!(ensure(&path, &of("two.example.com"), folder.path()).unwrap());
            let mut text = String::new();
            std::io::Read::read_to_string(&mut mounted, &mut text).unwrap();
            assert_eq!(text == fs::read_to_string(&path).unwrap(), stays, "{engine}");
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o644, "{engine}");
        }
    }

    /// A private authority, and a certificate of it: the files `ca.pem`, `leaf.pem` and `leaf.key`.
    fn private_authority(folder: &Path) {
        let place = |name: &str| folder.join(name);
        fs::write(place("ext"), "subjectAltName=DNS:flows.example.com\n").unwrap();
        for words in [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
            "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf",
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem",
        ] {
            let argv: Vec<&str> = words.split(' ').collect();
            duct::cmd("openssl", argv).dir(folder).stderr_null().run().unwrap();
        }
    }

    #[test]
    fn a_certificate_whose_issuer_nobody_knows_is_doubted_by_name() {
        let folder = tempfile::tempdir().unwrap();
        private_authority(folder.path());
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        fs::write(folder.path().join("chain.pem"), read("leaf.pem") + &read("ca.pem")).unwrap();
        let environment = |certificate: &str| Environment {
            name: "qa".into(),
            tls: Tls::Files { certificate_file: certificate.into(), key_file: "leaf.key".into() },
            ..Environment::default()
        };
        let doubted = doubt(&environment("leaf.pem"), folder.path()).unwrap();
        for part in ["ops/environments/qa.toml", "leaf.pem", "authority", "append it"] {
            assert!(doubted.contains(part), "no {part} in {doubted}");
        }
        for whole in ["chain.pem", "ca.pem"] {
            assert_eq!(doubt(&environment(whole), folder.path()), None, "{whole}");
        }
        assert_eq!(problem(&environment("leaf.pem"), folder.path()), None, "the edge serves it");
    }

    #[test]
    fn files_of_the_site_are_joined_and_a_wrong_pair_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            let pem = self_signed("flows.example.com", VALID).unwrap();
            let (key, certificate) = pem.split_once("-----BEGIN CERTIFICATE").unwrap();
            fs::write(place(&format!("{name}.key")), key).unwrap();
            fs::write(place(&format!("{name}.crt")), format!("-----BEGIN CERTIFICATE{certificate}")).unwrap();
        }
        let environment = |certificate: &str, key: &str| Environment {
            name: "qa".into(),
            tls: Tls::Files { certificate_file: certificate.into(), key_file: key.into() },
            ..Environment::default()
        };
        for (certificate, key, told) in [
            ("one.crt", "two.key", "two.key is not the key of the certificate in one.crt"),
            ("one.key", "one.key", "certificate_file under [tls]: one.key: openssl does not read it"),
            ("one.crt", "none.key", "key_file under [tls]: none.key: No such file"),
        ] {
            let problem = problem(&environment(certificate, key), folder.path()).unwrap();
            assert!(problem.contains("ops/environments/qa.toml") && problem.contains(told), "{problem}");
        }
        let right = environment("one.crt", "one.key");
        assert_eq!(problem(&right, folder.path()), None);
        let pem = place("pem");
        assert!(ensure(&pem, &right, folder.path()).unwrap());
        assert!(!ensure(&pem, &right, folder.path()).unwrap());
        let text = fs::read_to_string(&pem).unwrap();
        assert!(text.contains("BEGIN CERTIFICATE") && text.contains("PRIVATE KEY"), "{text}");
        let listen = Some(Listen::default());
        let acme = Environment { tls: Tls::Acme(Acme::default()), listen, ..right };
        assert_eq!(problem(&acme, folder.path()), None);
        for (wrong, why) in [
            (Environment { listen: None, ..acme.clone() }, "[listen]"),
            (
                Environment {
                    tls: Tls::Acme(Acme { acme_ca_file: Some("none.pem".into()), ..Acme::default() }),
                    ..acme.clone()
                },
                "acme_ca_file under [tls]: none.pem",
            ),
        ] {
            assert!(problem(&wrong, folder.path()).unwrap().contains(why), "{why}");
        }
    }
}
