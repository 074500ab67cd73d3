use serde_json::json;

use super::endpoint::{Endpoint, Keys};
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};
use crate::property::{Properties, Reader};

/// The service cuts texts of more than 40,000 characters, of which escaping makes up to five each.
const TEXT_LIMIT: usize = 8_000;

/// `SLACK`: a message by an incoming webhook of Slack, or of one of the services that speak its language.
pub(super) struct SlackFactory;

/// An incoming webhook.
#[derive(Debug)]
pub(super) struct Slack {
    endpoint: Endpoint,
}

impl ErrorHandlerFactory for SlackFactory {
    type Properties = WithInterval<Slack>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        job.notifying(properties.own, properties.interval)
    }
}

impl Properties for Slack {
    const PREFIXES: &'static [&'static str] = &["slack."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = Keys {
            url: "slack.webhook",
            connect_timeout: "slack.connectTimeoutMilliseconds",
            read_timeout: "slack.readTimeoutMilliseconds",
        };
        Endpoint::read(reader, &keys).map(|endpoint| Self { endpoint })
    }
}

impl Notifier for Slack {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let text = escaped(&notice.text_within(TEXT_LIMIT));
        self.endpoint.post(&json!({ "text": text })).await?.successful()
    }
}

/// Without these three nothing of a text is taken for a link or a mention, `<!channel>` for one.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_no_user_in_a_cause() {
        assert_eq!(escaped("<!channel> & a>b"), "&lt;!channel&gt; &amp; a&gt;b");
    }
}
