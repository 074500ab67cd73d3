//! From a command line to the words that a program is started with.
//!
//! No shell is started: nothing is expanded, so a parameter cannot become a command. Use `sh -c` in the command line to
//! have a shell.

use crate::property::Accepts;

/// The rules by which a command line is split into words. None of them expands variables or patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Those of POSIX shells: quotes group and disappear, a backslash takes the next character as it is.
    Posix,
    /// Those of Java members, with all that is odd about them.
    Java,
}

pub(super) const QUOTING: Accepts<Quoting> = Accepts::new("`posix` or `java`", |text| match text.trim() {
    "posix" => Some(Quoting::Posix),
    "java" => Some(Quoting::Java),
    _ => None,
});

const UNBALANCED: &str = "a quote is not closed";

impl Quoting {
    /// The words of a command line; there is at least one.
    pub(super) fn split(self, line: &str) -> Result<Vec<String>, String> {
        let words = match self {
            Self::Posix => shell_words::split(line).map_err(|_| UNBALANCED.to_owned())?,
            Self::Java => java_words(line)?,
        };
        if words.first().is_none_or(|program| program.is_empty()) {
            return Err("it names no program".to_owned());
        }
        Ok(words)
    }
}

/// As Commons Exec does it: quotes group words first; afterwards each argument is stripped of quotes at its ends, and one
/// that needs them is given new ones, which the program gets to see.
fn java_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut was_quoted = false;
    for character in line.trim().chars() {
        match (quote, character) {
            (Some(open), _) if open == character => {
                quote = None;
                was_quoted = true;
                continue;
            }
            (Some(_), _) => {
                word.push(character);
                continue;
            }
            (None, '\'' | '"') => quote = Some(character),
            (None, ' ') if was_quoted || !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            (None, _) => word.push(character),
        }
        was_quoted = false;
    }
    if quote.is_some() {
        return Err(UNBALANCED.to_owned());
    }
    if was_quoted || !word.is_empty() {
        words.push(word);
    }
    let arguments = words.iter().skip(1).map(|word| java_argument(word));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    words.truncate(1);
    words.extend(arguments);
    Ok(words)
}

/// Returns an argument as Java members hand it on: stripped of quotes at its ends, and put into quotes if it has blanks
/// or quotes inside.
fn java_argument(word: &str) -> Result<String, String> {
    let bare = word.trim().trim_matches(['\'', '"']);
    match (bare.contains('"'), bare.contains(['\'', ' '])) {
        (true, _) if bare.contains('\'') => Err(format!("`{bare}` has quotes of both kinds")),
        (true, _) => Ok(format!("'{bare}'")),
        (false, true) => Ok(format!("\"{bare}\"")),
        (false, false) => Ok(bare.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quoting: Quoting, line: &str, expect: &[&str]) {
        assert_eq!(
            quoting.split(line),
            Ok(expect.iter().map(|&word| word.to_owned()).collect())
        );
    }

    #[track_caller]
    fn refused(quoting: Quoting, line: &str, expect: &str) {
        assert_eq!(quoting.split(line), Err(expect.to_owned()));
    }

    #[test]
    fn a_command_line_should_be_split_as_shells_do() {
        let check = |line, expect: &[_]| check(Quoting::Posix, line, expect);
        check(
            "  sh\t-c 'echo \"$1\"; exit' sh ",
            &["sh", "-c", "echo \"$1\"; exit", "sh"],
        );
        check(
            r#"a "b c" d\ e "f\"g" '' $HOME *"#,
            &["a", "b c", "d e", "f\"g", "", "$HOME", "*"],
        );
        refused(Quoting::Posix, "sh -c 'exit", UNBALANCED);
        refused(Quoting::Posix, " ", "it names no program");
        refused(Quoting::Posix, "'' a", "it names no program");
    }

    #[test]
    fn a_command_line_should_be_split_as_java_does_where_that_is_asked_for() {
        let check = |line, expect: &[_]| check(Quoting::Java, line, expect);
        check("  sh  -c   exit ", &["sh", "-c", "exit"]);
        check(r#"a "b c" h='i j' "it's""#, &["a", "\"b c\"", "\"h=i j\"", "\"it's\""]);
        check(r#"a 'b"c' '' "d" e\ f"#, &["a", "'b\"c'", "", "d", "e\\", "f"]);
        check(r#""my program" a"#, &["my program", "a"]);
        refused(Quoting::Java, "a \"b", UNBALANCED);
        refused(
            Quoting::Java,
            r#"a "it's""x"'"'y"#,
            "`it'sx\"y` has quotes of both kinds",
        );
        refused(Quoting::Java, "", "it names no program");
    }
}
