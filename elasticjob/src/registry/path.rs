//! What every registry agrees on about paths.
//!
//! The rules are ZooKeeper's, for all registries: a job that runs on one of them can move to another.

use super::Error;

/// Checks that a registry can take the path: absolute, no empty or dot segments, no control characters.
///
/// # Errors
/// [`Error::InvalidArgument`] naming the path and the reason.
pub(super) fn validate(path: &str) -> Result<(), Error> {
    if path == "/" {
        return Ok(());
    }
    let Some(relative) = path.strip_prefix('/') else {
        return Err(invalid(path, "it must start with a slash"));
    };
    for segment in relative.split('/') {
        match segment {
            "" => return Err(invalid(path, "it must not have empty segments or end with a slash")),
            "." | ".." => return Err(invalid(path, "it must not have relative segments")),
            _ => {}
        }
    }
    if path.chars().any(is_forbidden) {
        return Err(invalid(path, "it has a character that ZooKeeper forbids"));
    }
    Ok(())
}

/// ZooKeeper's own list: control characters, the private use area and the specials.
fn is_forbidden(character: char) -> bool {
    matches!(character, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

/// Returns the error of a path, which is shown with its control characters escaped.
fn invalid(path: &str, reason: &str) -> Error {
    Error::InvalidArgument(format!("path `{}`: {reason}", path.escape_debug()))
}

/// Returns the absolute path of a namespace as it is configured: blanks and slashes around it do not count.
#[cfg(any(feature = "_registry-sql", feature = "registry-etcd"))]
pub(super) fn namespace(text: &str) -> String {
    format!("/{}", text.trim().trim_matches('/'))
}

/// Returns what is wrong with the path of a namespace that may have so many bytes.
#[cfg(any(feature = "_registry-sql", feature = "registry-etcd", feature = "zookeeper"))]
pub(super) fn faults_of_namespace(namespace: &str, longest: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if let Err(Error::InvalidArgument(fault)) = validate(namespace) {
        faults.push(format!("namespace: {fault}"));
    }
    if namespace.len() > longest {
        let length = namespace.len();
        faults.push(format!(
            "namespace `{namespace}` has {length} bytes, at most {longest} are possible"
        ));
    }
    faults
}

/// Splits a valid path other than the root into its parent and its name.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(parts) => parts,
        None => ("/", path),
    }
}

/// The path itself and everything above it, the root last.
pub(super) fn self_and_ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| (*path != "/").then(|| split(path).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_zookeeper_refuses_should_be_refused_here() {
        for path in [
            "",
            "a",
            "//",
            "/a/",
            "/a//b",
            "/a/./b",
            "/a/..",
            "/a\0",
            "/a\n",
            "/\u{7f}",
            "/\u{e000}",
            "/\u{fffd}",
        ] {
            assert!(matches!(validate(path), Err(Error::InvalidArgument(_))), "{path:?}");
        }
        for path in ["/", "/a", "/a/b c", "/任务/config", "/a/192.0.2.2@-@1", "/..a"] {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn ancestors_should_end_at_the_root() {
        assert_eq!(
            self_and_ancestors("/a/b/c").collect::<Vec<_>>(),
            ["/a/b/c", "/a/b", "/a", "/"]
        );
        assert_eq!(self_and_ancestors("/").collect::<Vec<_>>(), ["/"]);
    }
}
