//! A release as files: what is in it, how its bytes are made, and how they are judged.

// Until packaging, which writes them, is here.
#![allow(dead_code)]

pub mod hashing;
pub mod sums;
