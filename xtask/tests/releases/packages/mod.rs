//! `cargo xtask release package` and `verify` as release managers and operators run them, on small repositories.

mod fixture;
mod history;
mod hostile;
mod images;
mod keys;
mod machines;
mod made;
mod offline;
mod operating;
mod packaging;
mod real;
mod rebuilding;
mod refusals;
mod sboms;
mod withstanding;
