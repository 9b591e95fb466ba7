//! `cargo xtask release` as its users run it, beside a real git remote and a stand-in for GitHub.

mod images;
mod interrupted;
mod plan;
mod publish;
mod replaced;
mod signed_tag;
mod tag_kinds;
mod workshop;
