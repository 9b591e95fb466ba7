//! The GitHub actions that workflows use, by name.

use vocabulary::model::Action;

pub fn actions() -> Vec<Action> {
    vec![
        Action {
            name: "Swatinem/rust-cache",
            version: "v2.9.2",
            commit: "6323deb102c322ba6fcbdcafc7e3dddab59af2b6",
        },
        Action {
            name: "actions/attest-build-provenance",
            version: "v4.1.0",
            commit: "a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32",
        },
        Action {
            name: "actions/cache",
            version: "v5.0.5",
            commit: "27d5ce7f107fe9357f9df03efb73ab90386fccae",
        },
        Action {
            name: "actions/checkout",
            version: "v7.0.1",
            commit: "3d3c42e5aac5ba805825da76410c181273ba90b1",
        },
        Action {
            name: "actions/download-artifact",
            version: "v8.0.1",
            commit: "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
        },
        Action {
            name: "actions/setup-python",
            version: "v7.0.0",
            commit: "5fda3b95a4ea91299a34e894583c3862153e4b97",
        },
        Action {
            name: "actions/upload-artifact",
            version: "v7.0.0",
            commit: "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f",
        },
        Action {
            name: "github/codeql-action/upload-sarif",
            version: "v4.36.2",
            commit: "8aad20d150bbac5944a9f9d289da16a4b0d87c1e",
        },
    ]
}
