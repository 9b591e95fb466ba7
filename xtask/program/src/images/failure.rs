//! What a builder's or an engine's words mean for the user. Pure.

/// Marks of a failure that we know, and what to do about it.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["no space left on device", "disk quota exceeded"],
        "the disk is full: `docker system df` shows what the engine stores, `docker builder prune` frees the build \
         cache; then run the command again, it continues",
    ),
    (
        &[
            "x509: certificate",
            "certificate signed by unknown authority",
            "self-signed certificate in certificate chain",
            "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            "SELF_SIGNED_CERT_IN_CHAIN",
        ],
        "a certificate is not trusted: behind a private CA, give the engine the CA for pulling, and make stand-ins with \
         `image bases --from-packages --ca FILE`",
    ),
    (
        &[
            "failed to resolve source metadata",
            "pull access denied",
            "/manifests/",
            "manifest unknown",
            "manifest for",
            "failed to load metadata for",
            "toomanyrequests",
            "error getting credentials",
        ],
        "a base image cannot be pulled: make the registry reachable for the engine, or make stand-ins with \
         `image bases --from-packages` and build with --stand-ins",
    ),
    (
        &[
            "failed to do request",
            "i/o timeout",
            "no such host",
            "Temporary failure resolving",
            "Could not resolve host",
            "Unable to fetch some archives",
            "EAI_AGAIN",
        ],
        "the network cannot be reached: check that this engine's containers have network access (NAT, DNS, proxy), \
         then run the command again",
    ),
    (
        &["Cannot connect to the Docker daemon", "error during connect", "closed by the remote host"],
        "the engine stopped: read its log, start it (as root on Debian: ops/scripts/start-engine.sh), and run the \
         command again",
    ),
    (
        &["exit code: 137", "signal: killed", "Killed"],
        "a process was killed, probably because memory ran out: give the engine more, or build one image at a time \
         (--jobs 1)",
    ),
];

/// What to do about the failure that `log` ends with; none when it is not one of those we know.
pub fn explain(log: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(marks, _)| marks.iter().any(|mark| log.contains(mark))).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_are_explained() {
        for (log, expected) in [
            ("failed to copy: write /var/lib/x: no space left on device", Some("the disk is full")),
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head \
                 \"https://registry.example/v2/\": x509: certificate signed by unknown authority",
                Some("a certificate is not trusted"),
            ),
            (
                "ERROR [internal] load metadata for docker.io/library/node:24\nfailed to load metadata for docker.io",
                Some("a base image cannot be pulled"),
            ),
            (
                "failed to do request: Head \"https://registry.example/v2/library/node/manifests/sha256:6f\": dial tcp",
                Some("a base image cannot be pulled"),
            ),
            ("E: Temporary failure resolving 'mirror.example'", Some("the network cannot be reached")),
            ("npm ERR! something else", None),
        ] {
            let found = explain(log);
            assert_eq!(found.map(|text| text.split(':').next().unwrap_or(text)), expected, "{log}");
        }
    }
}
