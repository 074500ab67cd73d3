//! What is wrong with an expression, and where.

use std::fmt;
use std::ops::Range;

use super::Field;
use crate::marked::underline;

/// One fault of an expression.
///
/// Its text says what is wrong, what is allowed and, where that is clear, what to write instead. It is one line without
/// the expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    field: Option<Field>,
    span: Range<usize>,
    message: String,
}

impl Error {
    pub(super) fn new(field: impl Into<Option<Field>>, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            span,
            message: message.into(),
        }
    }

    /// The field that is at fault, unless it is the expression as a whole.
    #[must_use]
    pub fn field(&self) -> Option<Field> {
        self.field
    }

    /// The wrong part, as bytes of the expression.
    ///
    /// The range lies within the expression. It is the whole of what was written if no part of it can be blamed.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is wrong, what is allowed, and the way out.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// All faults of an expression, in the order of its text; never none.
///
/// Shown as several lines, each fault followed by the expression with carets under the wrong part.
/// [`Errors::one_line`] is for places that have a single line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    expression: String,
    errors: Vec<Error>,
}

impl Errors {
    pub(super) fn new(expression: &str, mut errors: Vec<Error>) -> Self {
        errors.sort_by_key(|error| error.span.start);
        Self {
            expression: expression.to_owned(),
            errors,
        }
    }

    /// The expression that was refused.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.errors.iter()
    }

    /// Everything in one line, without carets.
    #[must_use]
    pub fn one_line(&self) -> String {
        let messages: Vec<_> = self.errors.iter().map(Error::message).collect();
        format!(
            "invalid cron expression `{}`: {}",
            self.expression.escape_debug(),
            messages.join("; ")
        )
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid cron expression")?;
        for error in &self.errors {
            write!(f, "\n{}\n", error.message)?;
            underline(f, &self.expression, &error.span)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
