//! The user that a container runs as.

/// Why an engine cannot tell that a `USER` is not root; nothing when it can.
pub fn problem(user: &str) -> Option<&'static str> {
    let name = user.split(':').next().unwrap_or_default();
    match name.parse::<u32>() {
        Ok(0) => Some("is root"),
        Ok(_) => None,
        Err(_) if name.is_empty() => Some("is not set: the image runs as root"),
        Err(_) if name == "root" => Some("is root"),
        Err(_) => Some("is a name: only of a number can an engine tell that it is not root"),
    }
}
