//! Which machine a program is for, by the header of its ELF file.

use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use vocabulary::model::Architecture;

use foundation::files;

/// As far as `e_machine` ends.
const HEADER: usize = 20;
/// Magic number, 64 bits, little endian.
const BEGINS: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];

/// Why a file is no program for an architecture.
///
/// # Errors
/// It cannot be read.
pub fn problem(path: &Path, architecture: Architecture) -> Result<Option<String>> {
    let mut header = Vec::new();
    files::open(path)?.take(HEADER as u64).read_to_end(&mut header)?;
    Ok(told(&header, architecture))
}

fn told(header: &[u8], architecture: Architecture) -> Option<String> {
    let expected = format!("expected an ELF program for {}", architecture.name());
    let machine = match header.get(..HEADER) {
        Some(header) if header.starts_with(&BEGINS) => u16::from_le_bytes([header[18], header[19]]),
        _ => return Some(format!("is not a 64-bit ELF file; {expected}")),
    };
    (machine != architecture.elf_machine()).then(|| format!("is for the ELF machine {machine}; {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_for_one_machine() {
        let own = Architecture::named(std::env::consts::ARCH).unwrap();
        let other = if own == Architecture::X86_64 { Architecture::Aarch64 } else { Architecture::X86_64 };
        let program = std::env::current_exe().unwrap();
        assert_eq!(problem(&program, own).unwrap(), None);
        let told_of = problem(&program, other).unwrap().unwrap();
        assert!(told_of.contains(&format!("is for the ELF machine {}", own.elf_machine())), "{told_of}");
        for header in [&b""[..], &b"#!/bin/sh\necho hello, this is no ELF file\n"[..], &BEGINS[..]] {
            assert!(told(header, own).unwrap().contains("is not a 64-bit ELF file"));
        }
    }
}
