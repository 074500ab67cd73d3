//! Names of types, as people who write jobs know them.

/// Returns the name of a type without the modules that it is in, if it is the framework's or the standard library's: those
/// are private, and a reader cannot find it there.
pub(crate) fn shown(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_of_path(c)).unwrap_or(rest.len());
        let (path, behind) = rest.split_at(end);
        let root = path.split("::").next().unwrap_or(path);
        let is_known = matches!(root, "elasticjob" | "alloc" | "core" | "std");
        shown.push_str(match path.rsplit_once("::") {
            Some((_, last)) if is_known => last,
            _ => path,
        });
        let separators = behind.find(is_of_path).unwrap_or(behind.len());
        shown.push_str(&behind[..separators]);
        rest = &behind[separators..];
    }
    shown
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_shown_without_private_modules() {
        for (name, expected) in [
            (
                "elasticjob::job::extract::parameter::ItemParameter<i8>",
                "ItemParameter<i8>",
            ),
            (
                "core::option::Option<elasticjob::job::extract::component::Component<dyn shop::mail::Mailer>>",
                "Option<Component<dyn shop::mail::Mailer>>",
            ),
            ("(alloc::string::String, &str, [u8; 4])", "(String, &str, [u8; 4])"),
            ("elasticjob_shop::Pool", "elasticjob_shop::Pool"),
            (
                "shop::订单<std::collections::HashMap<u8, u8>>",
                "shop::订单<HashMap<u8, u8>>",
            ),
            ("u64", "u64"),
            ("", ""),
        ] {
            assert_eq!(shown(name), expected);
        }
    }
}
