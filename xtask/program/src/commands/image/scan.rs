//! `cargo xtask image scan`: what a security reviewer would ask of the built images.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{carry, save};
use vocabulary::model::ContainerPolicy;

use crate::context::Context;
use crate::images::archive::Archive;
use crate::images::content;
use crate::images::engine::Engine;
use crate::images::judge::{self, Rule};
use crate::images::locks::{self, BuiltImage};
use crate::images::scan::{self, LARGEST_TEXT, Places, Row, ScanImages, Scanners, Verdict};
use crate::tools::{Program, Tool, Toolbox};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::report::Report;
use runner::plan::runner::cores;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image scan
  cargo xtask image scan --only node-red --json
  cargo xtask image scan --require-all

It looks for known vulnerabilities with grype, if grype is on PATH and has a database (`grype db update`).")]
pub struct Options {
    /// Only this target; can be repeated [default: all shipped images]
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// Fail if a check cannot be run
    #[arg(long)]
    require_all: bool,
}

/// The label that a build gives its images.
const BASE_NAME: &str = "org.opencontainers.image.base.name";

const NO_DATABASE: &str =
    "no vulnerability database: grype is not on PATH, or `grype db status` finds no valid one";

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let images = shipped(context, save::chosen(context, &options.only)?, options)?;
    let toolbox = Toolbox::open(context)?;
    let engine = Engine::find()?;
    let scanners = Scanners {
        hadolint: toolbox.planned(Program::Hadolint)?,
        gitleaks: toolbox.planned(Program::Gitleaks)?,
        syft: toolbox.planned(Program::Syft)?,
        grype: grype_with_database(),
    };
    let folder = locks::folder(context.state());
    let plan = scan::plan(&engine, &scanners, &context.root, &folder, &images);
    save::warn(&images);
    let native = |action: &ScanImages, step: &StepContext| perform(&toolbox, action, step);
    let report = carry::carry_out(context, &plan, cores(), &native)?;
    if matches!(report.outcome, runner::plan::report::Outcome::Interrupted(_)) {
        return report.into_result();
    }
    let mut rows = Vec::new();
    let mut dockerfiles: Vec<&str> = images.iter().map(|image| image.dockerfile.as_str()).collect();
    dockerfiles.dedup();
    for dockerfile in dockerfiles {
        rows.push(lint_row(&report, dockerfile));
    }
    for image in &images {
        rows.extend(image_rows(
            &context.platform.containers,
            &folder,
            image,
            &report,
            scanners.grype.is_some(),
        )?);
    }
    // The archives are large; what was found stays.
    for image in &images {
        let places = scan::places(&folder, &image.target);
        let _ = fs::remove_file(&places.archive);
        let _ = fs::remove_dir_all(&places.layers);
    }
    let bad =
        |row: &Row| row.verdict == Verdict::Failed || (options.require_all && row.verdict == Verdict::NotRun);
    if context.json {
        let stand_ins: Vec<_> =
            images.iter().filter(|image| !image.stand_ins.is_empty()).map(|image| &image.tag).collect();
        stdout::json(&json!({ "checks": rows, "built_on_stand_ins": stand_ins }))?;
    } else {
        stdout::text(&table(&rows))?;
    }
    save::warn(&images);
    if rows.iter().any(bad) { Err(Reported.into()) } else { Ok(()) }
}

/// What is for development has tools on purpose: it is judged only where it is asked for.
fn shipped(context: &Context, images: Vec<BuiltImage>, options: &Options) -> Result<Vec<BuiltImage>> {
    let for_development = |image: &BuiltImage| image.dockerfile == context.platform.containers.development;
    let (left_out, shipped): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|image| options.only.is_empty() && for_development(image));
    for image in &left_out {
        eprintln!("not checked: {} is for development; --only {} checks it", image.tag, image.target);
    }
    if shipped.is_empty() {
        return Err(refused(format!(
            "no shipped image was built from this tree: run `{PROGRAM} image build`"
        )));
    }
    Ok(shipped)
}

fn grype_with_database() -> Option<PathBuf> {
    let grype = which::which("grype").ok()?;
    let status = std::process::Command::new(&grype).args(["db", "status"]).output().ok()?;
    status.status.success().then_some(grype)
}

fn perform(toolbox: &Toolbox, action: &ScanImages, step: &StepContext) -> Result<Outputs> {
    match action {
        ScanImages::InstallScanners => {
            toolbox.ensure(&[Tool::Hadolint, Tool::Gitleaks, Tool::Syft], step)?;
        }
        ScanImages::ClearFolder { folder } => {
            if folder.exists() {
                fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
            }
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        ScanImages::UnpackLayers { archive, folder } => {
            let count = unpack(archive, folder, step)?;
            step.log.line(&format!("{count} files"));
        }
        ScanImages::ListPackages { archive, layers } => {
            let archive = Archive::open(archive)?;
            let image = archive.only()?;
            let Some(base) = image.config["config"]["Labels"][BASE_NAME].as_str() else {
                bail!("nobody knows its base: it has no label {BASE_NAME}");
            };
            let records = scan::package_records(&databases(layers, image.layers.len())?);
            if records.is_empty() {
                bail!("it records no Debian packages, so nobody can say which updates it lacks");
            }
            return Ok([(scan::BASE, base.to_owned()), (scan::RECORDS, records)]
                .map(|(key, value)| (key.to_owned(), value))
                .into());
        }
    }
    Ok(Outputs::new())
}

/// Writes the files of every layer, those that later layers delete too, below `folder/NUMBER/`.
fn unpack(archive: &Path, folder: &Path, step: &StepContext) -> Result<usize> {
    let archive = Archive::open(archive)?;
    let mut count = 0;
    for (number, name) in archive.only()?.layers.iter().enumerate() {
        for entry in tar::Archive::new(archive.layer(name)?).entries()? {
            if (step.stop)() {
                bail!("stopped");
            }
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() || entry.size() == 0 || entry.size() > LARGEST_TEXT {
                continue;
            }
            let inside: PathBuf =
                entry.path()?.components().filter(|part| matches!(part, Component::Normal(_))).collect();
            let place = folder.join(number.to_string()).join(inside);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            // A file where an earlier entry has a folder, or the other way round: not of one file system.
            let mut file = fs::File::create(&place).with_context(|| place.display().to_string())?;
            std::io::copy(&mut entry, &mut file).with_context(|| place.display().to_string())?;
            count += 1;
        }
    }
    fs::create_dir_all(folder)?;
    Ok(count)
}

/// What dpkg, or `minimal-root.sh` in its place, records in each layer.
fn databases(layers: &Path, count: usize) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for layer in 0..count {
        let dpkg = layers.join(layer.to_string()).join("var/lib/dpkg");
        let of_packages = fs::read_dir(dpkg.join("status.d")).into_iter().flatten();
        let files = of_packages.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        for file in std::iter::once(dpkg.join("status")).chain(files).filter(|file| file.is_file()) {
            found.push(fs::read_to_string(&file).with_context(|| file.display().to_string())?);
        }
    }
    Ok(found)
}

fn lint_row(report: &Report, dockerfile: &str) -> Row {
    const CHECK: &str = "hadolint, no ignores";
    let id = scan::lint_step(dockerfile);
    let output = report.steps.iter().find(|step| step.id == id).and_then(|step| step.outputs.get("stdout"));
    match output.and_then(|text| serde_json::from_str(text).ok()) {
        Some(found) => Row::of(dockerfile, CHECK, String::new(), scan::lint_findings(&found)),
        None => failed(dockerfile, CHECK),
    }
}

fn failed(subject: &str, check: &str) -> Row {
    let what = "the scanner failed; see its step above".to_owned();
    Row::of(subject, check, String::new(), vec![what])
}

fn image_rows(
    policy: &ContainerPolicy,
    folder: &Path,
    image: &BuiltImage,
    report: &Report,
    looks_for_vulnerabilities: bool,
) -> Result<Vec<Row>> {
    let tag = image.tag.as_str();
    let places = scan::places(folder, &image.target);
    let good = |part: &str| {
        let id = format!("{part}-{}", image.target);
        report.steps.iter().any(|step| step.id.0 == id && step.status.is_good())
    };
    let mut rows = Vec::new();
    if good("save") {
        rows.extend(own_rows(policy, image, &places)?);
    } else {
        rows.push(failed(tag, "own checks"));
    }
    const SECRETS: &str = "gitleaks, every layer";
    rows.push(match read(&places.secrets).filter(|_| good("secrets")) {
        Some(found) => Row::of(tag, SECRETS, String::new(), scan::secret_findings(&found, &places.layers)),
        None => failed(tag, SECRETS),
    });
    const SBOM: &str = "SBOM (CycloneDX)";
    rows.push(match read(&places.sbom).filter(|_| good("sbom")) {
        Some(sbom) => Row::of(
            tag,
            SBOM,
            format!("{} packages: {}", scan::packages(&sbom), places.sbom.display()),
            Vec::new(),
        ),
        None => failed(tag, SBOM),
    });
    let updates = report.steps.iter().find(|step| step.id.0 == format!("updates-{}", image.target));
    rows.push(match updates.and_then(|step| step.outputs.get("stdout")).filter(|_| good("updates")) {
        Some(printed) => scan::updates_row(tag, printed),
        None => Row::not_run(
            tag,
            scan::UPDATES,
            "its packages could not be listed, or its base not run; see its steps above",
        ),
    });
    const VULNERABILITIES: &str = "known vulnerabilities";
    rows.push(if !looks_for_vulnerabilities {
        Row::not_run(tag, VULNERABILITIES, NO_DATABASE)
    } else {
        match read(&places.vulnerabilities).filter(|_| good("vulnerabilities")) {
            Some(found) => {
                let note = "high or critical, and fixed in a newer version".to_owned();
                Row::of(tag, VULNERABILITIES, note, scan::vulnerability_findings(&found))
            }
            None => failed(tag, VULNERABILITIES),
        }
    });
    Ok(rows)
}

fn own_rows(policy: &ContainerPolicy, image: &BuiltImage, places: &Places) -> Result<Vec<Row>> {
    let archive = Archive::open(&places.archive)?;
    let saved = archive.only()?;
    let tree = content::tree(&archive, saved)?;
    let limits =
        policy.limits.iter().find(|limits| limits.target == image.target).unwrap_or(&policy.strictest);
    let findings = judge::judge(&saved.config, &tree, limits);
    Ok(Rule::ALL
        .iter()
        .map(|rule| {
            let of_rule = findings.iter().filter(|(of, _)| of == rule);
            let lines = of_rule.map(|(_, problem)| problem.to_string());
            let note = match rule {
                Rule::Size => format!(
                    "{} of {}, {} layers",
                    files::size(content::bytes(&tree)),
                    files::size(limits.mebibytes << 20),
                    saved.layers.len()
                ),
                _ => String::new(),
            };
            Row::of(&image.tag, rule.words(), note, lines.collect())
        })
        .collect())
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

/// So many findings of a check are shown; `--json` has them all.
const SHOWN: usize = 12;

fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut subject = "";
    for row in rows {
        if row.subject != subject {
            subject = &row.subject;
            text += &format!("{subject}\n");
        }
        let word = match row.verdict {
            Verdict::Passed => "ok     ",
            Verdict::Failed => "FAILED ",
            Verdict::NotRun => "NOT RUN",
        };
        let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
        text += &format!("  {word} {}{note}\n", row.check);
        for finding in row.findings.iter().take(SHOWN) {
            text += &format!("            {finding}\n");
        }
        if row.findings.len() > SHOWN {
            text += &format!("            and {} more; --json shows all\n", row.findings.len() - SHOWN);
        }
    }
    text
}
