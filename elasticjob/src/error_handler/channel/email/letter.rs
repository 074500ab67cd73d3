use lettre::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::error_handler::{Notice, Undelivered};

/// All of a mail but what it is about.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) cc: Vec<Mailbox>,
    pub(super) bcc: Vec<Mailbox>,
    pub(super) subject: String,
}

/// Keeps people's holiday notes from answering (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Letter {
    /// The mail about a notice, as plain text and as HTML.
    pub(super) fn about(&self, notice: &Notice) -> Result<Message, Undelivered> {
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(self.subject.clone())
            .message_id(None)
            .header(AutoSubmitted);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        for cc in &self.cc {
            mail = mail.cc(cc.clone());
        }
        for bcc in &self.bcc {
            mail = mail.bcc(bcc.clone());
        }
        let text = notice.text();
        let html = format!("<pre>{}</pre>", escaped(&text));
        Ok(mail.multipart(MultiPart::alternative_plain_html(text, html))?)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_handler::Failure;

    fn letter() -> Letter {
        let mailbox = |text: &str| text.parse::<Mailbox>().unwrap();
        Letter {
            from: mailbox("Jobs <jobs@example.org>"),
            to: vec![mailbox("a@example.org"), mailbox("b@example.org")],
            cc: vec![mailbox("c@example.org")],
            bcc: vec![mailbox("d@example.org")],
            subject: "Größe\r\nBcc: evil@example.org".to_owned(),
        }
    }

    #[test]
    fn reaches_all_and_shows_no_blind_copy() {
        let cause = std::io::Error::other("<b>disk</b> full");
        let mail = letter()
            .about(&Notice::for_test(&Failure::new("orders", &cause)))
            .unwrap();
        let to: Vec<_> = mail.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]);
        let text = String::from_utf8(mail.formatted()).unwrap();
        assert!(!text.contains("d@example.org") && !text.contains("\r\nBcc"), "{text}");
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("caused by <b>disk</b> full"), "{text}");
        assert!(
            text.replace("=\r\n", "")
                .contains("caused by &lt;b&gt;disk&lt;/b&gt; full"),
            "{text}"
        );
    }
}
