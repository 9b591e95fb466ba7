//! What takes minutes: for the gate `slow-engine`.

mod certificate;
mod monitoring;
mod secret_store;
mod secrets;
