//! Which changes of the platform a reviewer must wave through by a label.

use vocabulary::model::{ChangeClass, Review};

pub fn review() -> Review {
    Review {
        label: "wider-platform",
        asked_for: vec![ChangeClass::WidensReach, ChangeClass::LoosensLimit, ChangeClass::NewPermission],
    }
}
