//! `cargo xtask release` as its users run it, beside a real git remote and a stand-in for GitHub.

mod interrupted;
mod plan;
mod publish;
mod workshop;
