//! What a foreign file is. Typed values with one writer each; nothing here knows of any platform.

pub mod compose;
pub mod dockerfile;
pub mod dockerignore;
pub mod dotenv;
pub mod gitattributes;
pub mod github;
pub mod haproxy;
pub mod javascript;
pub mod json;
pub mod markdown;
pub mod network_policy;
pub mod nftables;
pub mod node_red;
pub mod npm;
pub mod systemd;
pub mod vault_policy;
pub mod yaml;
