//! What an error of the server means. Pure.

use crate::registry::Error;

/// Whether a transaction that ends with this code has certainly not happened, and may be asked for again: it met
/// `lock_timeout`, was chosen to end a deadlock, or was cancelled before its commit.
pub(super) fn is_passing(code: &str) -> bool {
    matches!(code, "55P03" | "40P01" | "57014")
}

/// Whether trying again may help: neither rights nor databases come by themselves. A read-only server, one that stops or starts
/// and one without a free connection may be another soon.
pub(super) fn explained(error: &sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code());
    let text = error.to_string();
    if code.is_some_and(|code| is_refusal(&code)) {
        Error::Refused(text)
    } else {
        Error::Unreachable(text)
    }
}

/// Whether the password was wrong.
pub(super) fn is_password(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "28P01")
}

fn is_refusal(code: &str) -> bool {
    // No user or password, no right, no such database.
    code.starts_with("28") || matches!(code, "42501" | "3D000")
}

#[cfg(test)]
mod tests {
    use super::*;

    mod codes {
        use super::*;

        #[test]
        fn of_rights_are_for_good() {
            for code in ["28000", "28P01", "42501", "3D000"] {
                assert!(is_refusal(code), "{code}");
            }
        }

        #[test]
        fn of_a_failover_are_not() {
            for code in [
                "25006", "57P01", "57P02", "57P03", "57P04", "57P05", "53300", "08006", "XX000", "55000",
            ] {
                assert!(!is_refusal(code) && !is_passing(code), "{code}");
            }
        }

        #[test]
        fn of_waits_say_that_nothing_was_done() {
            for code in ["55P03", "40P01", "57014"] {
                assert!(is_passing(code) && !is_refusal(code), "{code}");
            }
        }
    }
}
