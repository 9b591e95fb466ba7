//! Rows on Terraform.

use std::collections::BTreeSet;

use super::compose_project::joined;
use super::hcl::{self, File, attributes, blocks, is_true, label, members, text};
use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::tree::Tree;
use crate::checks::container_secrets::names_secret;

pub fn rows() -> Vec<Row> {
    let row =
        |id, what, sources, judge| Row { id, what, sources, subject: Subject::Terraform, also: &[], judge };
    vec![
        row(
            "T1",
            "every root module keeps its state at a remote place that locks it and encrypts it",
            &[Source::Own],
            state,
        ),
        row(
            "T2",
            "every provider of a root module is locked by version and hash",
            &[Source::Scorecard("Pinned-Dependencies")],
            providers,
        ),
        row(
            "T3",
            "no state, plan or secret in plain text: none lies in the tree, no literal is a secret's, and variables and \
             outputs that hold one are marked",
            &[Source::Own],
            secrets,
        ),
    ]
}

const NONE: &str = "Terraform file";
const LOCK: &str = ".terraform.lock.hcl";

/// Folders with a module that is applied, not called by another one.
fn roots(files: &[File]) -> BTreeSet<&str> {
    let called: BTreeSet<String> = files
        .iter()
        .flat_map(|file| {
            blocks(&file.body, "module")
                .filter_map(|module| text(&module.body, "source"))
                .map(|source| joined(file.folder(), source))
        })
        .collect();
    files.iter().map(File::folder).filter(|folder| !called.contains(*folder)).collect()
}

fn state(tree: &Tree) -> Verdict {
    let (files, broken) = hcl::files(tree, ".tf");
    let mut look = Inspection::default();
    look.broken(&broken);
    for root in roots(&files) {
        look.saw();
        let mut backends = files
            .iter()
            .filter(|file| file.folder() == root)
            .flat_map(|file| blocks(&file.body, "terraform").map(move |block| (file, block)))
            .flat_map(|(file, block)| block.body.blocks().map(move |inner| (file, inner)))
            .filter(|(_, inner)| ["backend", "cloud"].contains(&inner.ident.as_str()));
        let Some((file, backend)) = backends.next() else {
            let first = files.iter().find(|file| file.folder() == root).map_or(root, |file| &file.path);
            let place = Place { file: first.into(), line: 1 };
            look.find(&place, "the state stays on the machine that applies it", "add a backend with a lock");
            continue;
        };
        for lacks in lacking(backend) {
            look.find(
                &file.place(backend),
                format!("the backend {} {lacks}", label(backend)),
                "see Terraform's page on this backend",
            );
        }
    }
    look.verdict(NONE)
}

/// What a backend does not do. What it always does, it need not say.
fn lacking(backend: &hcl_edit::structure::Block) -> Vec<&'static str> {
    let body = &backend.body;
    let has = |name: &str| body.has_attribute(name);
    let mut lacks = Vec::new();
    match (backend.ident.as_str(), label(backend)) {
        ("cloud", _) | ("backend", "remote" | "gcs" | "azurerm" | "oss" | "cos") => {}
        ("backend", "s3") => {
            if !is_true(body, "use_lockfile") && !has("dynamodb_table") {
                lacks.push("locks nothing: give it use_lockfile = true");
            }
            if !is_true(body, "encrypt") {
                lacks.push("encrypts nothing: give it encrypt = true");
            }
        }
        ("backend", "http") => {
            if !has("lock_address") {
                lacks.push("locks nothing: give it lock_address");
            }
            if !text(body, "address").is_none_or(|address| address.starts_with("https://")) {
                lacks.push("sends the state in clear text: give it an https address");
            }
        }
        ("backend", "pg" | "consul" | "kubernetes") => {
            lacks.push("keeps the state as it is: choose one that encrypts it");
        }
        ("backend", "local") => lacks.push("keeps the state on the machine that applies it"),
        _ => lacks.push("is not one of which it is known that it locks and encrypts"),
    }
    lacks
}

fn providers(tree: &Tree) -> Verdict {
    let (files, mut broken) = hcl::files(tree, ".tf");
    let (locks, broken_locks) = hcl::files(tree, LOCK);
    broken.extend(broken_locks);
    let mut look = Inspection::default();
    look.broken(&broken);
    for root in roots(&files) {
        let lock = locks.iter().find(|lock| lock.folder() == root);
        for file in files.iter().filter(|file| file.folder() == root) {
            for required in
                blocks(&file.body, "terraform").flat_map(|block| blocks(&block.body, "required_providers"))
            {
                for provider in required.body.attributes() {
                    look.saw();
                    let named = members(&provider.value);
                    let source =
                        named.iter().find(|(name, _)| name == "source").and_then(|(_, value)| value.as_str());
                    let source =
                        source.map_or_else(|| format!("hashicorp/{}", provider.key.as_str()), str::to_owned);
                    let locked = lock.is_some_and(|lock| is_locked(lock, &source));
                    if !locked {
                        look.find(
                            &file.place(provider),
                            format!("{source} is not locked in {root}/{LOCK}"),
                            "run `terraform providers lock` for every platform, and commit the file",
                        );
                    }
                }
            }
        }
    }
    look.verdict("Terraform provider")
}

fn is_locked(lock: &File, source: &str) -> bool {
    blocks(&lock.body, "provider").any(|provider| {
        let name = label(provider);
        let same = name == source || name.strip_suffix(source).is_some_and(|host| host.ends_with('/'));
        let hashes = provider.body.get_attribute("hashes").and_then(|hashes| hashes.value.as_array());
        same && text(&provider.body, "version").is_some() && hashes.is_some_and(|hashes| !hashes.is_empty())
    })
}

fn secrets(tree: &Tree) -> Verdict {
    let (mut files, mut broken) = hcl::files(tree, ".tf");
    let (values, broken_values) = hcl::files(tree, ".tfvars");
    broken.extend(broken_values);
    files.extend(values);
    let mut look = Inspection::default();
    look.broken(&broken);
    let kept =
        |path: &str| [".tfstate", ".tfstate.backup", ".tfplan"].iter().any(|ending| path.ends_with(ending));
    for path in tree.paths().filter(|path| kept(path)) {
        look.find(
            &Place { file: path.clone(), line: 1 },
            "a state or a plan holds every value, secrets too",
            "delete it, rotate what it holds, and keep the state at its backend",
        );
    }
    for file in &files {
        look.saw();
        for kind in ["variable", "output"] {
            for block in blocks(&file.body, kind).filter(|block| names_secret(label(block))) {
                if !is_true(&block.body, "sensitive") && !is_true(&block.body, "ephemeral") {
                    look.find(
                        &file.place(block),
                        format!("the {kind} {} is shown in plans and logs", label(block)),
                        "give it sensitive = true, or ephemeral = true, which is not stored either",
                    );
                }
            }
        }
        for attribute in attributes(&file.body) {
            let own = [(attribute.key.as_str().to_owned(), &attribute.value)];
            let all = own.into_iter().chain(members(&attribute.value));
            for (name, value) in all.filter(|(name, _)| names_secret(name)) {
                if value.as_str().is_some_and(|text| !text.is_empty()) {
                    look.find(
                        &file.place(attribute),
                        format!("{name} stands here in plain text"),
                        "read it from the store of secrets when it is applied",
                    );
                }
            }
        }
    }
    look.verdict(NONE)
}
