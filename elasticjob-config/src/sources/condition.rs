//! Spring's profile expressions: when a document counts.
//!
//! Names of profiles are joined by `&` or `|` and turned round by `!`: `prod & (eu | us)`, `!dev`. Where `&` and `|` meet,
//! parentheses say which comes first, as Spring demands. Of a list with commas one is enough.

use std::collections::BTreeSet;

/// Spring has no limit. An expression that is nested deeper was not written by a person.
const DEPTH: usize = 64;

/// A condition on the active profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Profile(String),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// Parses a list of expressions.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let mut any = Vec::new();
        for text in list.split(',').filter(|text| !text.trim().is_empty()) {
            let mut parser = Parser { rest: text };
            match parser.expression(0) {
                Some(expression) if parser.rest.is_empty() => any.push(expression),
                _ => {
                    return Err(format!(
                        "`{}` is no profile expression: names of profiles with `!`, `&`, `|` and parentheses are \
                         expected, and parentheses where `&` and `|` meet",
                        text.trim()
                    ));
                }
            }
        }
        if any.is_empty() {
            return Err("a profile is expected, or an expression such as `prod & !eu`".to_owned());
        }
        Ok(Self::Any(any))
    }

    /// Whether the condition holds where these profiles are active.
    pub(super) fn is_met(&self, active: &[String]) -> bool {
        match self {
            Self::Profile(name) => active.contains(name),
            Self::Not(condition) => !condition.is_met(active),
            Self::All(conditions) => conditions.iter().all(|condition| condition.is_met(active)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.is_met(active)),
        }
    }

    /// Adds the names of all profiles that the condition is about.
    pub(super) fn collect_names(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Profile(name) => {
                names.insert(name.clone());
            }
            Self::Not(condition) => condition.collect_names(names),
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.collect_names(names));
            }
        }
    }
}

/// `None` of its functions means that the text is malformed.
struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn expression(&mut self, depth: usize) -> Option<Expression> {
        let first = self.operand(depth)?;
        let Some(operator) = self.take(&['&', '|']) else {
            return Some(first);
        };
        let mut operands = vec![first, self.operand(depth)?];
        while self.take(&[operator]).is_some() {
            operands.push(self.operand(depth)?);
        }
        Some(match operator {
            '&' => Expression::All(operands),
            _ => Expression::Any(operands),
        })
    }

    fn operand(&mut self, depth: usize) -> Option<Expression> {
        if depth == DEPTH {
            return None;
        }
        match self.take(&['!', '(']) {
            Some('!') => Some(Expression::Not(Box::new(self.operand(depth + 1)?))),
            Some(_) => {
                let inner = self.expression(depth + 1)?;
                self.take(&[')']).map(|_| inner)
            }
            None => self.name().map(Expression::Profile),
        }
    }

    fn name(&mut self) -> Option<String> {
        let end = self.rest.find(['(', ')', '&', '|', '!']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    fn take(&mut self, expected: &[char]) -> Option<char> {
        let rest = self.rest.trim_start();
        let found = rest.chars().next().filter(|c| expected.contains(c))?;
        self.rest = rest[found.len_utf8()..].trim_start();
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(expression: &str, active: &[&str]) -> bool {
        let active: Vec<String> = active.iter().map(|name| (*name).to_owned()).collect();
        Expression::parse(expression).unwrap().is_met(&active)
    }

    mod expressions {
        use super::*;

        #[test]
        fn hold_as_in_spring() {
            for (expression, met_with, not_met_with) in [
                ("prod", &["prod", "eu"][..], &["dev"][..]),
                ("prod, staging", &["staging"], &["dev"]),
                ("!prod", &[], &["prod"]),
                ("! prod", &["dev"], &["prod", "dev"]),
                ("prod & eu", &["eu", "prod"], &["prod"]),
                ("prod|eu", &["eu"], &["us"]),
                ("prod & (eu | us)", &["prod", "us"], &["eu", "us"]),
                ("(a & b) | (c & !d)", &["c"], &["c", "d"]),
                ("!(a | b), c", &["c", "a"], &["b"]),
                ("!!a", &["a"], &[]),
                ("a & b & c", &["a", "b", "c"], &["a", "b"]),
                ("德国 & us-east_1", &["us-east_1", "德国"], &["us-east_1"]),
                ("two words", &["two words"], &["two", "words"]),
            ] {
                assert!(is_met(expression, met_with), "{expression}");
                assert!(!is_met(expression, not_met_with), "{expression}");
            }
        }

        #[test]
        fn that_are_malformed_are_refused() {
            for text in [
                "",
                ",",
                " ",
                "!",
                "a &",
                "& a",
                "a & | b",
                "a & b | c",
                "a | b & c",
                "(a",
                "a)",
                "()",
                "a (b)",
                "a ! b",
                "a, b &",
            ] {
                assert!(Expression::parse(text).is_err(), "{text}");
            }
            for deep in ["(", "!"] {
                assert!(Expression::parse(&(deep.repeat(1_000_000) + "a")).is_err());
            }
        }
    }
}
