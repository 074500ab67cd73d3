//! A stored configuration without its secrets.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{PROVIDED, is_secret, without_secrets};
use crate::text::without_mark;
use crate::yaml::tree::{self, Content, Limits, Node, Position};
use crate::yaml::verbatim::in_one_line;

/// Returns the text of a stored configuration as it may be shown: unchanged if it holds no secret, else with `[provided]` for
/// the values of keys that are secret by their names, at any depth, and for secrets that other values quote.
///
/// A text that is not YAML is not shown at all: nothing says where a secret ends in it.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::document_without_secrets;
///
/// let stored = "jobName: sync\nprops:\n  batch: 10\n  sink.password: tiger\n";
/// assert_eq!(
///     document_without_secrets(stored),
///     "jobName: sync\nprops:\n  \"batch\": 10\n  \"sink.password\": \"[provided]\"\n",
/// );
/// ```
#[must_use]
pub fn document_without_secrets(text: &str) -> Cow<'_, str> {
    let (documents, lines) = match tree::read(without_mark(text), Limits::STORED) {
        Ok(read) => read,
        Err(tree::SyntaxError { line, column, .. }) => {
            let reason =
                format!("not shown, since it may hold secrets and is not YAML (line {line}, column {column})\n");
            return Cow::Owned(reason);
        }
    };
    let mut hidden = Hidden::default();
    documents.iter().for_each(|document| hidden.find(document));
    let masked: Vec<_> = documents.iter().map(|document| hidden.mask(document)).collect();
    if masked.iter().all(|masked| matches!(masked, Cow::Borrowed(_))) {
        // Not only the values: a comment quotes secrets, too.
        return without_secrets(text);
    }
    Cow::Owned(match (documents.as_slice(), masked.as_slice()) {
        ([document], [masked]) if lines.are_as_written() => written(lines.text(), document, masked),
        // Several documents, which no member writes or can read; or lines that are none to other readers.
        _ => masked
            .iter()
            .map(|masked| format!("---{}\n", in_one_line(masked)))
            .collect(),
    })
}

/// The places of secrets.
#[derive(Default)]
struct Hidden {
    /// Where values start that an alias elsewhere uses as a secret.
    used_as_secret: BTreeSet<Position>,
}

impl Hidden {
    fn find(&mut self, node: &Node) {
        match &node.content {
            Content::Scalar { .. } => {}
            Content::Sequence(items) => items.iter().for_each(|item| self.find(item)),
            Content::Mapping(entries) => {
                for (key, value) in entries {
                    if is_named_secret(key) {
                        self.used_as_secret.extend(value.refers_to);
                    }
                    self.find(value);
                }
            }
        }
    }

    /// Returns the node with its secrets replaced; borrowed if it has none.
    fn mask<'a>(&self, node: &'a Node) -> Cow<'a, Node> {
        if self.used_as_secret.contains(&node.start) {
            return Cow::Owned(replaced(node, PROVIDED));
        }
        match &node.content {
            Content::Scalar { text, .. } => match without_secrets(text) {
                Cow::Borrowed(_) => Cow::Borrowed(node),
                Cow::Owned(shown) => Cow::Owned(replaced(node, &shown)),
            },
            Content::Sequence(items) => {
                let masked: Vec<_> = items.iter().map(|item| self.mask(item)).collect();
                if masked.iter().any(|item| matches!(item, Cow::Owned(_))) {
                    with_content(
                        node,
                        Content::Sequence(masked.into_iter().map(Cow::into_owned).collect()),
                    )
                } else {
                    Cow::Borrowed(node)
                }
            }
            Content::Mapping(entries) => {
                let masked: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| (key, self.of_entry(key, value)))
                    .collect();
                if masked.iter().any(|(_, value)| matches!(value, Cow::Owned(_))) {
                    let entries = masked.into_iter().map(|(key, value)| (key.clone(), value.into_owned()));
                    with_content(node, Content::Mapping(entries.collect()))
                } else {
                    Cow::Borrowed(node)
                }
            }
        }
    }

    fn of_entry<'a>(&self, key: &Node, value: &'a Node) -> Cow<'a, Node> {
        let is_empty = value.scalar().is_some_and(|text| text.is_empty() || text == PROVIDED);
        if is_named_secret(key) && !is_empty {
            Cow::Owned(replaced(value, PROVIDED))
        } else {
            self.mask(value)
        }
    }
}

fn is_named_secret(key: &Node) -> bool {
    key.scalar().is_some_and(is_secret)
}

/// Returns a text in the place of a node.
fn replaced(node: &Node, text: &str) -> Node {
    Node {
        content: Content::Scalar {
            text: text.to_owned(),
            is_plain: false,
        },
        tag: String::new(),
        ..node.clone()
    }
}

fn with_content<'a>(node: &Node, content: Content) -> Cow<'a, Node> {
    Cow::Owned(Node {
        content,
        ..node.clone()
    })
}

/// Writes a document: entries without secrets as they stand in its text, those of a map that has some a line each.
fn written(text: &str, document: &Node, masked: &Node) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_block = lines
        .get(document.start.line - 1)
        .is_some_and(|line| !line.trim_start().starts_with(['{', '[', '&', '!', '?', '-']));
    let (Content::Mapping(before), Content::Mapping(after), true) = (&document.content, &masked.content, is_block)
    else {
        return format!("{}\n", in_one_line(masked).trim_start());
    };
    let mut text = String::new();
    for (index, ((key, value), (_, shown))) in before.iter().zip(after).enumerate() {
        let end = before
            .get(index + 1)
            .map_or(lines.len(), |(next, _)| next.start.line - 1);
        if value.says_the_same_as(shown) {
            for line in lines.get(key.start.line - 1..end).unwrap_or_default() {
                text.push_str(&without_secrets(line));
                text.push('\n');
            }
            continue;
        }
        text.push_str(key.scalar().unwrap_or("?"));
        text.push(':');
        match &shown.content {
            Content::Mapping(entries) => {
                for (key, value) in entries {
                    text.push_str(&format!("\n {}:{}", in_one_line(key), in_one_line(value)));
                }
            }
            Content::Scalar { .. } | Content::Sequence(_) => text.push_str(&in_one_line(shown)),
        }
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    mod hides {
        use super::*;

        /// No secret is left of a text in which all secrets are called so.
        #[track_caller]
        fn check(text: &str, kept: &str) {
            let shown = document_without_secrets(text);
            assert!(!shown.contains("tiger"), "{shown}");
            assert!(shown.contains(kept), "{shown}");
            assert_eq!(document_without_secrets(&shown), shown, "a second time");
        }

        #[test]
        fn props_in_each_notation() {
            check(
                "jobName: a\nprops:\n  mail.password: tiger\n  x: 1\ncron: 0 0 1 * * ?\n",
                "cron: 0 0 1 * * ?\n",
            );
            check("jobName: a\nprops: {mail.password: tiger, x: 1}\ncron: c\n", "\"x\": 1");
            check(
                "{\"jobName\": \"a\", \"props\": {\"api_key\": \"tiger\", \"x\": \"1\"}}",
                "\"x\": \"1\"",
            );
            check(
                "jobName: a\nprops:\n  token: |\n    a\n    tiger\n  x: '1'\n",
                "\"x\": \"1\"",
            );
            check(
                "jobName: a\nprops:\n  token: \"a\\\n    tiger\"\n  x: '1'\n",
                "\"x\": \"1\"",
            );
            check(
                "jobName: a\nprops:\n  token: !!binary dGlnZXI=tiger\n  x: '1'\n",
                "\"x\": \"1\"",
            );
            check("jobName: a\r\nprops:\r\n  token: tiger\r\n  x: 1\r\n", "\"x\": 1");
            check("? jobName\n: a\n? props\n: {token: tiger, x: 1}\n", "\"x\": 1");
        }

        #[test]
        fn what_is_deep_or_elsewhere() {
            check(
                "jobName: a\njobExtraConfigurations:\n- !!org.acme.Source\n  type: RDB\n  dataSource: {url: 'jdbc:x://h', password: tiger}\n",
                "\"type\": \"RDB\"",
            );
            check("jobName: a\nother: &a tiger\nprops: {token: *a}\n", "jobName: a\n");
            check(
                "jobName: a\njobParameter: https://lion:tiger@h/x?n=1\n",
                "https://[provided]@h/x?n=1",
            );
            check("jobName: a # password=tiger\ncron: c\n", "cron: c\n");
            check("jobName: a\n---\nprops: {token: tiger}\n", "--- {\"jobName\": \"a\"}\n");
            check(
                "jobName: a\ncredentials: [tiger, {x: tiger}]\n",
                "credentials: \"[provided]\"\n",
            );
        }

        #[test]
        fn a_text_that_is_no_yaml() {
            check(
                "jobName: a\nprops: {token: tiger\n",
                "not shown, since it may hold secrets and is not YAML (line 3, column 1)",
            );
        }

        #[test]
        fn long_and_chinese_values() {
            let long = "tiger".repeat(13_000);
            check(
                &format!("jobName: 作业\nprops:\n  密钥.secret: {long}\n  说明: 你好\n"),
                "你好",
            );
        }
    }

    #[test]
    fn leaves_what_holds_no_secret_to_the_byte() {
        for text in [
            "",
            "\n",
            "jobName: a\r\ncron: '0/5 * * * * ?'\r\nprops:\r\n  x: 1\r\n",
            "{jobName: a}",
            "jobName: a\nprops:\n  mail.password: ''\n",
            "just a text",
        ] {
            assert_eq!(document_without_secrets(text), text);
        }
    }
}
