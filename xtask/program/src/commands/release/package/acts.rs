//! What the steps of packaging do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::inputs::{self, Inputs};
use super::steps::{self, Digests, Fact, Package};
use crate::commands::release::operator_build;
use crate::context::Context;
use crate::images::engine::Engine;
use crate::images::oci;
use crate::images::saved;
use foundation::clock::utc;
use foundation::digest::{self, Hashed, HashingWriter};
use foundation::files;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::runner::cores;
use shipping::release::archive::{self, Contents, Tree};
use shipping::release::description::{self, Image, Release};
use shipping::release::gzip::ParallelGzip;
use shipping::release::manifest::{Artifact, Manifest};
use shipping::release::sums::{self, Sums};
use shipping::release::{bundle, commit, ledger, manifest, oci_digest, provenance, sbom, signing};

/// Carries out the native actions of packaging.
pub struct Acts<'a> {
    pub context: &'a Context,
    pub inputs: &'a Inputs,
}

impl Acts<'_> {
    pub fn perform(&self, action: &Package, step: &StepContext) -> Result<Outputs> {
        match action {
            Package::Clear { stage } => self.clear(stage),
            Package::Operator { .. } => Ok(Outputs::new()),
            Package::Program { program, sha256, file } => self.program(program, sha256, file, step),
            Package::Image { tag, file } => self.image(tag, file),
            Package::Bundle { images, .. } => self.bundle(images, step),
            Package::Sboms { .. } => self.sboms(),
            Package::Evidence { .. } => self.evidence(step),
            Package::Statements { images, artifacts, .. } => self.statements(images, artifacts, step),
            Package::Sign { key, password } => self.sign(key, password.as_deref()),
            Package::Place { folder } => self.place(folder),
        }
    }

    fn stage(&self) -> PathBuf {
        steps::stage(self.context, self.inputs)
    }

    /// Removes what runs with other inputs have left, and what a kill left half written.
    fn clear(&self, stage: &Path) -> Result<Outputs> {
        let workshop = steps::workshop(self.context);
        fs::create_dir_all(stage).with_context(|| stage.display().to_string())?;
        let mut kept: Vec<String> =
            steps::artifacts(self.inputs).into_iter().map(|(file, ..)| file).collect();
        kept.extend(steps::statements(self.inputs).into_iter().map(str::to_owned));
        for (folder, keep) in [
            (workshop.as_path(), vec![stage.file_name().unwrap_or_default().to_string_lossy().into_owned()]),
            (stage, kept),
        ] {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if !keep.iter().any(|name| entry.file_name() == name.as_str()) {
                    files::remove(&entry.path())?;
                }
            }
        }
        Ok(Outputs::new())
    }

    /// The program is built from the files on disk, minutes after they were looked at first.
    fn still_the_commit(&self) -> Result<()> {
        commit::still(&self.context.root, &self.inputs.commit)
    }

    fn operator(&self) -> PathBuf {
        self.inputs
            .operator_binary
            .clone()
            .unwrap_or_else(|| operator_build::built(&self.context.root, self.inputs.architecture))
    }

    fn image(&self, tag: &str, file: &str) -> Result<Outputs> {
        if let Some(folder) = &self.inputs.image_archives {
            return self.archived_image(&folder.join(file), file);
        }
        let (archive, _folder) = saved::saved(self.context.state(), &Engine::find()?, tag)?;
        let path = self.stage().join(file);
        let digest = oci::write(&archive, archive.only()?, tag, &path)?;
        let mut outputs = facts(file, &digest::of_file(&path)?);
        outputs.insert("digest".to_owned(), digest);
        Ok(outputs)
    }

    fn archived_image(&self, from: &Path, file: &str) -> Result<Outputs> {
        let digest = oci_digest::of(from)?.map_err(|problem| anyhow!("{}: {problem}", from.display()))?;
        let hashed = files::write::with(&self.stage().join(file), 0o644, |to| {
            Ok(digest::copy(files::open_within(from, files::ARCHIVE)?, to)?)
        })?;
        let mut outputs = facts(file, &hashed);
        outputs.insert("digest".to_owned(), digest);
        Ok(outputs)
    }

    fn committed(&self) -> Result<Tree> {
        let files = commit::files(&self.context.root, &self.inputs.commit.id, bundle::PATHS)?;
        Ok(bundle::for_operators(files))
    }

    fn release(&self, files: &Tree, digests: &Digests, step: &StepContext) -> Result<Release> {
        let inputs = self.inputs;
        let mut images = inputs.pinned.clone();
        for image in &inputs.built {
            let digest = digests.get(&image.target);
            let digest = digest.with_context(|| format!("the image {} has no digest", image.tag))?;
            images.push(Image {
                reference: image.tag.clone(),
                digest: step.resolve(digest)?.expose().to_owned(),
                archive: Some(description::image(&inputs.version, &image.target)),
                stand_ins: image.stand_ins.clone(),
            });
        }
        images.sort();
        Ok(Release {
            schema: description::SCHEMA,
            version: inputs.version.clone(),
            commit: inputs.commit.id.clone(),
            committed: inputs.commit.time,
            flows_rev: bundle::flows_rev(files)?,
            target: inputs.architecture.target().to_owned(),
            images,
            operators: inputs.operators.iter().map(|operator| operator.program.clone()).collect(),
            tools: inputs.tools.clone(),
        })
    }

    fn bundle(&self, images: &Digests, step: &StepContext) -> Result<Outputs> {
        self.still_the_commit()?;
        let files = self.committed()?;
        let release = self.release(&files, images, step)?;
        let tree = bundle::tree(files, &release, Contents::File(self.operator()))?;
        let name = description::bundle(&self.inputs.version);
        let mut outputs = self.pack(step, &name, &tree)?;
        outputs.insert("release".to_owned(), serde_json::to_string(&release)?);
        Ok(outputs)
    }

    fn program(&self, program: &Path, sha256: &str, file: &str, step: &StepContext) -> Result<Outputs> {
        if digest::of_file(program)?.sha256 != sha256 {
            bail!("{} has changed since this run began: run the command again", program.display());
        }
        self.pack(step, file, &bundle::operator(Contents::File(program.to_owned())))
    }

    fn pack(&self, step: &StepContext, name: &str, tree: &Tree) -> Result<Outputs> {
        let Inputs { version, commit, .. } = self.inputs;
        let hashed = files::write::with(&self.stage().join(name), 0o644, |file| {
            let mut gzip = ParallelGzip::new(HashingWriter::new(file), cores())?;
            archive::write(tree, &description::top(version), commit.time, &mut gzip)?;
            Ok(gzip.finish()?.finish().1)
        })?;
        step.log.line(&format!("{} files, {} bytes", tree.len(), hashed.bytes));
        Ok(facts(name, &hashed))
    }

    fn sboms(&self) -> Result<Outputs> {
        let files = self.committed()?;
        let inputs = self.inputs;
        let time = utc(inputs.commit.time);
        let about = sbom::About { version: &inputs.version, commit: &inputs.commit.id, time: &time };
        let rust = sbom::rust(bundle::bytes(&files, bundle::CARGO_LOCK)?, &about)?;
        let npm = sbom::npm(&bundle::npm_locks(&files), &about)?;
        let mut outputs = self.put_json(&description::rust_sbom(&inputs.version), &rust)?;
        outputs.extend(self.put_json(&description::npm_sbom(&inputs.version), &npm)?);
        Ok(outputs)
    }

    fn evidence(&self, step: &StepContext) -> Result<Outputs> {
        if let Some(file) = &self.inputs.evidence {
            return self.put(ledger::FILE, &files::read(file, files::TEXT)?.bytes);
        }
        let ledger = inputs::ledger(self.context, &self.inputs.commit)?;
        for left_out in &ledger.left_out {
            step.log.line(&format!("left out: {} {}: {}", left_out.kind.word(), left_out.name, left_out.why));
        }
        self.put_json(ledger::FILE, &ledger)
    }

    fn statements(&self, images: &Digests, facts: &[Fact], step: &StepContext) -> Result<Outputs> {
        let inputs = self.inputs;
        let release = self.release(&self.committed()?, images, step)?;
        let artifact = |fact: &Fact| {
            let (name, kind) = (fact.file.clone(), fact.kind);
            let sha256 = step.resolve(&fact.sha256)?.expose().to_owned();
            Ok(Artifact { name, kind, bytes: step.resolve(&fact.bytes)?.expose().parse()?, sha256 })
        };
        let artifacts = facts.iter().map(artifact).collect::<Result<Vec<_>>>()?;
        let mut sums: Sums =
            artifacts.iter().map(|artifact| (artifact.name.clone(), artifact.sha256.clone())).collect();
        let manifest = Manifest { schema: description::SCHEMA, release, artifacts };
        let facts = self.put_json(manifest::FILE, &manifest)?;
        sums.insert(manifest::FILE.to_owned(), sum_of(&facts, manifest::FILE));

        let committed = commit::files(&self.context.root, &inputs.commit.id, provenance::MATERIALS)?;
        let statement = provenance::statement(&provenance::Build {
            release: &manifest.release,
            builder: &inputs.builder,
            images: !inputs.built.is_empty(),
            subjects: &sums,
            materials: provenance::materials(&committed),
        });
        let facts = self.put_json(provenance::FILE, &statement)?;
        sums.insert(provenance::FILE.to_owned(), sum_of(&facts, provenance::FILE));
        self.put(sums::FILE, sums::text(&sums).as_bytes())?;
        Ok(Outputs::new())
    }

    fn sign(&self, key: &Path, password: Option<&Path>) -> Result<Outputs> {
        let secret = signing::secret_key(key, password)?;
        let text = files::read(&self.stage().join(sums::FILE), files::TEXT)?.bytes;
        let comment = signing::comment(&self.inputs.version, &self.inputs.commit.id);
        self.put(signing::FILE, signing::sign(&secret, &text, &comment)?.as_bytes())?;
        Ok(Outputs::new())
    }

    /// In one move: a reader sees the whole release or the one before it.
    fn place(&self, folder: &Path) -> Result<Outputs> {
        self.still_the_commit()?;
        let stage = self.stage();
        let mut expected: Vec<String> =
            steps::artifacts(self.inputs).into_iter().map(|(file, ..)| file).collect();
        expected.extend(steps::statements(self.inputs).into_iter().map(str::to_owned));
        expected.sort();
        let mut found = Vec::new();
        for entry in fs::read_dir(&stage)? {
            found.push(entry?.file_name().to_string_lossy().into_owned());
        }
        found.sort();
        if found != expected {
            bail!("{}: holds {}; expected {}", stage.display(), found.join(", "), expected.join(", "));
        }
        files::write::sync_names(&stage)?;
        // Out of the stage first: were it exchanged with that, a rerun after a kill would find the older release there.
        let ready = steps::workshop(self.context).join("ready");
        fs::rename(&stage, &ready)?;
        match renameat_with(CWD, &ready, CWD, folder, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                renameat_with(CWD, &ready, CWD, folder, RenameFlags::EXCHANGE)
                    .with_context(|| format!("cannot put the release in the place of {}", folder.display()))?
            }
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", folder.display())),
        }
        // Before the journal says that it is there.
        files::write::sync_names(folder.parent().context("it lies in a folder")?)?;
        files::remove(&ready)?;
        Ok(Outputs::new())
    }

    fn put_json(&self, name: &str, value: &impl serde::Serialize) -> Result<Outputs> {
        self.put(name, (serde_json::to_string_pretty(value)? + "\n").as_bytes())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<Outputs> {
        let hashed =
            files::write::with(&self.stage().join(name), 0o644, |file| Ok(digest::copy(bytes, file)?))?;
        Ok(facts(name, &hashed))
    }
}

fn facts(name: &str, hashed: &Hashed) -> Outputs {
    Outputs::from([
        (format!("sha256 {name}"), hashed.sha256.clone()),
        (format!("bytes {name}"), hashed.bytes.to_string()),
    ])
}

fn sum_of(facts: &Outputs, name: &str) -> String {
    facts.get(&format!("sha256 {name}")).cloned().unwrap_or_default()
}
