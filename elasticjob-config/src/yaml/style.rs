//! Which of YAML's notations a text is written in.

use super::resolve;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// The style that SnakeYAML chooses for a text in block context.
pub(super) fn choose(text: &str) -> Style {
    let traits = Traits::of(text);
    if traits.needs_escapes || traits.blank_before_break {
        Style::DoubleQuoted
    } else if traits.is_multiline {
        // A literal block cannot keep a blank at the very end.
        if traits.ends_with_blank {
            Style::DoubleQuoted
        } else {
            Style::Literal
        }
    } else if traits.has_indicator
        || traits.starts_with_blank
        || traits.ends_with_blank
        || !resolve::is_text_for_all(text)
    {
        Style::SingleQuoted
    } else {
        Style::Plain
    }
}

/// What decides about the style of a text.
#[expect(clippy::struct_excessive_bools, reason = "a text may have any of them")]
struct Traits {
    is_multiline: bool,
    needs_escapes: bool,
    has_indicator: bool,
    starts_with_blank: bool,
    ends_with_blank: bool,
    blank_before_break: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        Self {
            is_multiline: text.contains('\n'),
            needs_escapes: text.chars().any(needs_escape),
            has_indicator: has_indicator(text),
            starts_with_blank: text.starts_with(' '),
            ends_with_blank: text.ends_with(' '),
            blank_before_break: text.contains(" \n"),
        }
    }
}

/// Whether a character cannot stand in a text as it is.
fn needs_escape(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => false,
        // Line separators of YAML 1.1, and the byte order mark: see the module's documentation.
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => false,
        _ => true,
    }
}

/// Whether some part of the text would be taken for a piece of YAML.
fn has_indicator(text: &str) -> bool {
    let is_blank_or_end = |c: Option<char>| c.is_none_or(|c| c == ' ');
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let mut chars = text.chars().peekable();
    let Some(first) = chars.next() else { return false };
    match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => return true,
        '?' | ':' | '-' if is_blank_or_end(chars.peek().copied()) => return true,
        _ => {}
    }
    let mut previous = first;
    while let Some(c) = chars.next() {
        if c == ':' && is_blank_or_end(chars.peek().copied()) || c == '#' && previous == ' ' {
            return true;
        }
        previous = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Style, texts: &[&str]) {
        for text in texts {
            assert_eq!(choose(text), expected, "{text:?}");
        }
    }

    #[test]
    fn plain_texts_stay_plain() {
        let texts = [
            "a b",
            "0 0/5 * * * ?",
            "0=北京,1=上海",
            "a:b",
            "a#b",
            "y",
            "n",
            "=",
            "0o17",
            "-a",
            "?a",
            ":a",
            "http://x/y?z=1",
        ];
        check(Style::Plain, &texts);
    }

    #[test]
    fn texts_that_yaml_reads_otherwise_are_quoted() {
        check(
            Style::SingleQuoted,
            &[
                "", " a", "a ", "- a", "-", "? a", ":", "a: b", "a:", "a #b", "---a", "...", "'a'",
            ],
        );
        let texts = [
            "#a", ",a", "[a", "]a", "{a", "}a", "&a", "*a", "!a", "|a", ">a", "\"a", "%a", "@a", "`a",
        ];
        check(Style::SingleQuoted, &texts);
        let texts = [
            "yes",
            "no",
            "on",
            "off",
            "true",
            "~",
            "null",
            "010",
            "0x1F",
            "1_000",
            "1:30",
            "1e3",
            ".5",
            ".inf",
            "2020-01-01",
            "<<",
            "12",
            "08",
            "0089",
            "-08",
            "0_8",
            "-_",
            "0x_",
        ];
        check(Style::SingleQuoted, &texts);
    }

    #[test]
    fn line_feeds_give_a_block_and_controls_escapes() {
        check(Style::Literal, &["a\nb", "a\n", "\n", " a\nb", "a\n\nb\n\n", "a\n b"]);
        check(
            Style::DoubleQuoted,
            &[
                "a\tb",
                "a\rb",
                "a \nb",
                "a\nb ",
                "\u{0}",
                "\u{7f}",
                "a\u{2028}b",
                "\u{feff}",
                "\u{ffff}",
            ],
        );
    }
}
