//! `cargo xtask ci` as its users run it, by what happens to the run itself: what need not be judged again, what is broken
//! in the middle, and what it leaves for others to read.

mod fixture;
mod ignored;
mod inputs;
mod plain;
mod reports;
mod unchanged;
mod withstand;
