//! What services say to a notice.
//!
//! Some chat services answer a refused message with status 200 and a code in the body, so that the status alone proves
//! nothing. An answer of theirs without a code is taken for a refusal: an operator would rather hear of it than miss a
//! failure. Only what may pass by itself is tried again.

use serde_json::Value;

use super::endpoint::Answer;
use crate::error_handler::Undelivered;

/// As much of an answer as a log entry quotes.
const QUOTED: usize = 300;

/// A service did not take a notice.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("the service answers with status {status}: {body}")]
    Status { status: u16, body: String },
    #[error("the service refuses with code {code}: {reason}")]
    Code { code: i64, reason: String },
    #[error("the service does not say whether it took the notice: {body}")]
    Unclear { body: String },
}

impl Answer {
    /// Takes any status of success.
    pub(super) fn successful(&self) -> Result<(), Undelivered> {
        let refusal = match self.status {
            200..=299 => return Ok(()),
            status => Refusal::Status {
                status,
                body: self.quoted(),
            },
        };
        match self.status {
            // Too many requests, and troubles of the server.
            429 | 500..=599 => Err(Undelivered::transient(refusal)),
            _ => Err(refusal.into()),
        }
    }

    /// Accepts a successful answer if its JSON has a 0 as one of these codes. `names` explains other codes.
    pub(super) fn successful_with_code(&self, names: &[(&str, &str)]) -> Result<(), Undelivered> {
        self.successful()?;
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = |(code, reason)| Some((body.get(code)?.as_i64()?, body.get(reason)));
        match names.iter().copied().find_map(code) {
            Some((0, _)) => Ok(()),
            Some((code, reason)) => {
                let reason = reason.and_then(Value::as_str).unwrap_or("no reason given").to_owned();
                Err(Refusal::Code { code, reason }.into())
            }
            None => Err(Refusal::Unclear { body: self.quoted() }.into()),
        }
    }

    /// Returns the begin of the answer, as a log entry quotes it.
    fn quoted(&self) -> String {
        let body = self.body.trim();
        body[..body.floor_char_boundary(QUOTED)].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expect: Option<(&str, bool)>) {
        let answer = Answer {
            status,
            body: body.to_owned(),
        };
        let names = [("errcode", "errmsg"), ("StatusCode", "StatusMessage")];
        let refused = answer.successful_with_code(&names).err();
        let refused = refused.map(|refused| (refused.cause().to_string(), refused.is_transient()));
        assert_eq!(
            refused,
            expect.map(|(text, is_transient)| (text.to_owned(), is_transient))
        );
    }

    #[test]
    fn only_a_code_of_0_should_be_a_success() {
        check(200, r#"{"errcode":0,"errmsg":"ok"}"#, None);
        check(200, r#"{"StatusCode":0,"Extra":null}"#, None);
        let text = "the service refuses with code 310000: keywords not in content";
        check(
            200,
            r#"{"errcode":310000,"errmsg":"keywords not in content"}"#,
            Some((text, false)),
        );
        let text = "the service refuses with code 7: no reason given";
        check(200, r#"{"errcode":7}"#, Some((text, false)));
        let text = "the service does not say whether it took the notice: <html>";
        check(200, "<html>", Some((text, false)));
        let text = "the service does not say whether it took the notice: {\"errcode\":\"0\"}";
        check(200, r#"{"errcode":"0"}"#, Some((text, false)));
    }

    #[test]
    fn fails_by_status_and_retries_server_faults() {
        let text = |status, body| format!("the service answers with status {status}: {body}");
        check(404, "gone ", Some((&text(404, "gone"), false)));
        check(302, "", Some((&text(302, ""), false)));
        check(429, "slowly", Some((&text(429, "slowly"), true)));
        check(503, "", Some((&text(503, ""), true)));
        check(400, &"ö".repeat(400), Some((&text(400, &"ö".repeat(150)), false)));
    }
}
