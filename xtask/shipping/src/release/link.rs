//! Where symbolic links of an archive may lead.

use super::path::name_problem;

/// Whether a link at `path`, which begins with the archive's one folder, may lead out of that folder.
///
/// A `..` after a name may: the name can be a link itself, and then nobody can tell from the text where it leads. At the
/// beginning of the link it is counted: what a link lies in are folders.
pub fn leaves(path: &str, link: &str) -> bool {
    if link.is_empty() || link.starts_with('/') {
        return true;
    }
    let parts = || link.split('/').filter(|part| !["", "."].contains(part));
    if parts().any(|part| part != ".." && name_problem(part).is_some()) {
        return true;
    }
    let up = parts().take_while(|part| *part == "..").count();
    let folders_below_top = path.split('/').count().saturating_sub(2);
    up > folders_below_top || parts().skip(up).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_stays_below_the_top_folder_stays() {
        for (path, link, out) in [
            ("top/l", "f", false),
            ("top/l", "./a//f", false),
            ("top/a/l", "../f", false),
            ("top/a/b/l", "../../f", false),
            ("top/l", ".", false),
            ("top/a/l", "..", false),
            ("top/l", "..", true),
            ("top/l", "../top/f", true),
            ("top/a/l", "../../x", true),
            ("top/a/b/l", "../../../x", true),
            ("top/l", "a/../f", true),
            ("top/l", "a/b/up/../outside", true),
            ("top/l", "/etc/passwd", true),
            ("top/l", "", true),
            ("top/l", "a\nb", true),
            ("top/l", "a\\..\\..\\b", true),
            ("top/l", "a\u{202e}b", true),
        ] {
            assert_eq!(leaves(path, link), out, "{path} -> {link}");
        }
    }

    /// All links of up to five parts, at every depth.
    #[test]
    fn what_stays_goes_up_only_where_there_are_folders() {
        let parts = ["..", "a", "."];
        for depth in 0..4 {
            let path = ["top"].into_iter().chain(std::iter::repeat_n("f", depth)).chain(["l"]);
            let path = path.collect::<Vec<_>>().join("/");
            for number in 0..3_usize.pow(5) {
                let link: Vec<_> = (0..5).map(|at| parts[number / 3_usize.pow(at) % 3]).collect();
                if leaves(&path, &link.join("/")) {
                    continue;
                }
                let ups = link.iter().filter(|part| **part == "..").count();
                let names_before_the_last_up = link
                    .iter()
                    .rposition(|part| *part == "..")
                    .map_or(0, |last| link[..last].iter().filter(|part| **part == "a").count());
                assert!(ups <= depth && names_before_the_last_up == 0, "{path} -> {link:?}");
            }
        }
    }
}
