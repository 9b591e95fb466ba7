//! The words Flowship speaks: what a platform is ([`model`]) and what a foreign file is ([`formats`]).
//!
//! Pure: nothing here reads or writes anything, and `formats` knows of no platform.

pub mod formats;
pub mod model;
