//! How fast a release is packed, and how small, beside the programs that one would use in a shell.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use duct::cmd;

use super::sample::{Figure, figure, timed};
use crate::context::Context;
use foundation::digest::HashingWriter;
use foundation::files::{self, temporary};
use foundation::interrupt::Interrupt;
use runner::plan::runner::cores;
use shipping::release::archive::{self, Contents, Node, Tree};
use shipping::release::commit;
use shipping::release::gzip::ParallelGzip;

/// Bytes of the tree.
const SIZE: usize = 1 << 30;
const FILE: usize = 512 * 1024;
/// More would take long, and the differences are far above the noise.
const MOST_RUNS: usize = 3;

pub fn measure(context: &Context, runs: usize, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    for program in ["tar", "pigz", "gzip", "tee", "sha256sum", "bash"] {
        which::which(program)
            .with_context(|| format!("{program} is needed for the comparison: install it"))?;
    }
    let folder =
        tempfile::tempdir_in(context.path("target")).or_else(|_| temporary::folder("flowship-bench-"))?;
    let tree = generate(context, &folder.path().join("tree"))?;
    let out = folder.path().join("out.tar.gz");
    let shell = |script: &str| -> Result<()> {
        cmd!("bash", "-ec", format!("set -o pipefail; {script}")).dir(folder.path()).stdout_null().run()?;
        Ok(())
    };
    let mut ours = || pack(&tree, &out);
    let mut pigz = || shell("tar -cf - tree | pigz -9 | tee >(sha256sum > sum) > out.tar.gz; wait");
    let mut gzip = || shell("tar -cf - tree | gzip -9 > out.tar.gz");
    type Work<'a> = (&'static str, &'a mut dyn FnMut() -> Result<()>, Vec<Duration>, u64);
    let mut all: [Work; 3] = [
        ("gzip", &mut gzip, Vec::new(), 0),
        ("pigz", &mut pigz, Vec::new(), 0),
        ("ours", &mut ours, Vec::new(), 0),
    ];
    for _ in 0..runs.min(MOST_RUNS) {
        for (_, work, times, size) in &mut all {
            if interrupt.raised() {
                bail!("interrupted");
            }
            times.push(timed(&mut **work)?);
            *size = fs::metadata(&out)?.len();
        }
    }
    let [(_, _, gzip, gzip_size), (_, _, pigz, pigz_size), (_, _, ours, our_size)] = &all;
    let ratio = *our_size as f64 / *pigz_size as f64;
    let gzip = figure(&format!("tar | gzip -9: 1 GiB to {}", files::size(*gzip_size)), gzip, None);
    let pigz = figure(
        &format!("tar | pigz -9 | tee >(sha256sum): 1 GiB to {}", files::size(*pigz_size)),
        pigz,
        None,
    );
    let what = format!("release archive, hashed: 1 GiB to {}, {ratio:.3} of pigz's", files::size(*our_size));
    let ours = figure(&what, ours, Some(&pigz));
    Ok(vec![gzip, pigz, ours])
}

fn pack(tree: &Tree, out: &Path) -> Result<()> {
    let mut gzip = ParallelGzip::new(HashingWriter::new(File::create(out)?), cores())?;
    archive::write(tree, "tree", 0, &mut gzip)?;
    gzip.finish()?.finish();
    Ok(())
}

/// Half text: lines of this repository in any order. A third programs: pieces of this one, changed here and there. The
/// rest cannot be compressed, as images and archives in a release cannot.
fn generate(context: &Context, folder: &Path) -> Result<Tree> {
    let texts = commit::files(&context.root, "HEAD", &["docs", "flows", "ops", "xtask"])?;
    let texts: Vec<u8> = texts
        .into_values()
        .filter_map(|node| match node {
            Node::File { contents: Contents::Bytes(bytes), .. } => Some(bytes),
            _ => None,
        })
        .flatten()
        .collect();
    let lines: Vec<&[u8]> = texts.split_inclusive(|byte| *byte == b'\n').collect();
    let program = fs::read(std::env::current_exe()?)?;
    let mut random = Random(88_172_645_463_325_252);
    let mut tree = Tree::new();
    for number in 0..SIZE / FILE {
        let mut bytes = Vec::with_capacity(FILE + 4096);
        match number % 6 {
            0..3 => {
                while bytes.len() < FILE {
                    bytes.extend_from_slice(lines[random.below(lines.len())]);
                }
            }
            3..5 => {
                let at = random.below(program.len().saturating_sub(FILE).max(1));
                bytes.extend_from_slice(&program[at..program.len().min(at + FILE)]);
                for _ in 0..FILE / 256 {
                    let at = random.below(bytes.len());
                    bytes[at] = random.next() as u8;
                }
            }
            _ => {
                bytes.extend(std::iter::repeat_with(|| random.next().to_le_bytes()).take(FILE / 8).flatten())
            }
        }
        bytes.resize(FILE, b'\n');
        let path = format!("{:02}/{number:04}", number % 32);
        let place = folder.join(&path);
        fs::create_dir_all(place.parent().context("it has a folder")?)?;
        fs::write(&place, bytes)?;
        tree.insert(path, Node::File { executable: false, contents: Contents::File(place) });
    }
    Ok(tree)
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
