//! What every room stands on: files that are written whole, digests, errors with their exit codes, processes, signals, time, text.

pub mod clock;
pub mod columns;
pub mod digest;
pub mod escape;
pub mod exit;
pub mod files;
pub mod git;
pub mod interrupt;
pub mod nearest;
pub mod processes;
pub mod program_name;
pub mod shorten;
pub mod stdout;
pub mod terminal;
