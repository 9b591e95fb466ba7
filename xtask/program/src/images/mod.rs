//! Container images: the engine that makes them, stand-ins for bases that cannot be pulled, building, and judging what
//! was built.

pub mod archive;
pub mod bases;
pub mod build;
pub mod content;
pub mod dockerfile;
pub mod engine;
pub mod failure;
pub mod judge;
pub mod load;
pub mod locks;
pub mod oci;
pub mod own_engine;
pub mod saved;
pub mod scan;
pub mod stand_in;
