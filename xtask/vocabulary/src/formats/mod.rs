//! What a foreign file is. Typed values with one writer each; nothing here knows of any platform.

pub mod dotenv;
pub mod gitattributes;
pub mod github;
pub mod javascript;
pub mod json;
pub mod markdown;
pub mod node_red;
pub mod yaml;
