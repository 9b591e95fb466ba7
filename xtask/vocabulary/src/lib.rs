//! The words Flowship speaks: what a platform is ([`model`]), what a foreign file is ([`formats`]) and what is wrong
//! ([`problem`]).
//!
//! Pure: nothing here reads or writes anything, and `formats` knows of no platform.

pub mod formats;
pub mod model;
pub mod problem;
