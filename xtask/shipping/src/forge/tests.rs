//! Pushing to a registry.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::registry::{Image, Registry};
use super::registry_server::{serve, write_archive};
use foundation::interrupt::Interrupt;

/// An archive of one image with two layers.
fn archive(folder: &Path) -> PathBuf {
    let path = folder.join("image.oci.tar");
    write_archive(&path);
    path
}

#[test]
fn an_image_arrives_by_digest_once_and_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::open(&archive(folder.path())).unwrap();
    for fails in
        [None, Some("POST /v2/o/app/blobs"), Some("PUT /v2/o/app/blobs"), Some("PUT /v2/o/app/manifests")]
    {
        let (host, kept) = serve();
        kept.lock().unwrap().fails = fails;
        let registry = || Registry::at(&host, Some("ghp_secret".into()), &Interrupt::default());
        if fails.is_some() {
            let error = format!("{:#}", registry().push("o/app", &image).unwrap_err());
            assert!(error.contains("the registry answered 500 broken") && !error.contains("ghp_"), "{error}");
            assert_eq!(registry().digest("o/app", &image.digest).unwrap(), None, "the manifest comes last");
        }
        assert!(registry().push("o/app", &image).unwrap());
        assert_eq!(registry().digest("o/app", "1.0.0").unwrap(), None);
        registry().tag("o/app", "1.0.0", &image).unwrap();
        assert_eq!(registry().digest("o/app", "1.0.0").unwrap().as_ref(), Some(&image.digest));
        assert_eq!(registry().digest("o/app", &image.digest).unwrap().as_ref(), Some(&image.digest));
        let blobs = kept.lock().unwrap().things.keys().filter(|name| name.contains("/blobs/")).count();
        assert_eq!(blobs, 3, "two layers and the configuration");
        let before = kept.lock().unwrap().requests.len();
        assert!(!registry().push("o/app", &image).unwrap(), "nothing is lacking");
        let after = kept.lock().unwrap().requests[before..].to_vec();
        assert!(after.iter().all(|request| request.starts_with("HEAD ")), "{after:?}");
    }
}

#[test]
fn without_credentials_or_a_registry_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::open(&archive(folder.path())).unwrap();
    let (host, _kept) = serve();
    let error = Registry::at(&host, None, &Interrupt::default()).push("o/app", &image).unwrap_err();
    assert!(format!("{error:#}").contains("set GH_TOKEN"), "{error:#}");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = Registry::at(&gone, None, &Interrupt::default()).push("o/app", &image).unwrap_err();
    assert!(
        format!("{error:#}").starts_with(&format!("HEAD http://{gone}/v2/o/app/manifests/")),
        "{error:#}"
    );
    std::fs::write(folder.path().join("no.tar"), "x").unwrap();
    assert!(Image::open(&folder.path().join("no.tar")).is_err());
}
