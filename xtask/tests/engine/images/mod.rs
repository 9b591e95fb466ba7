//! `cargo xtask image` as its users run it: against clients that play an engine's faults, and against a real engine
//! where there is one.

mod faults;
mod fixture;
mod gate;
mod real;
mod released;
mod stand_ins;
