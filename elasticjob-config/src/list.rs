//! Lists in one text.

/// The items of a list with commas, without empty ones. It may stand in brackets, as it does in the `.properties` of the
/// original's manual; `None` if only one of them is there.
pub(crate) fn items(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let inner = match (text.strip_prefix('['), text.strip_suffix(']')) {
        (Some(rest), Some(_)) => rest.strip_suffix(']')?,
        (None, None) => text,
        _ => return None,
    };
    let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(items.map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_with_brackets_and_without() {
        for text in ["a,b", " a , ,b, ", "[a, b]", " [ a,b ] "] {
            assert_eq!(items(text), Some(vec!["a".to_owned(), "b".to_owned()]), "{text}");
        }
        assert_eq!(items("[]"), Some(Vec::new()));
        assert_eq!(items(""), Some(Vec::new()));
        for text in ["[a", "a]", "[", "]"] {
            assert_eq!(items(text), None, "{text}");
        }
    }
}
