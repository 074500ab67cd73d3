use std::sync::Arc;

use elasticjob_config::Secret;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::endpoint::Keys;
use super::robot::{Robot, RobotKeys};
use super::signature::signature;
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};
use crate::property::{Properties, Reader};
use crate::schedule::Clock;

/// The service refuses requests of more than 20 KB; escaped, a text can be twice as long.
const TEXT_LIMIT: usize = 9_000;

/// `FEISHU`: a message by a robot of a Feishu or Lark group.
pub(super) struct FeishuFactory;

/// What a robot of a Feishu group asks for.
#[derive(Debug)]
pub(super) struct FeishuRobot(Robot);

struct Feishu {
    robot: Robot,
    clock: Arc<dyn Clock>,
}

impl ErrorHandlerFactory for FeishuFactory {
    type Properties = WithInterval<FeishuRobot>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        let notifier = Feishu {
            robot: properties.own.0,
            clock: job.clock(),
        };
        job.notifying(notifier, properties.interval)
    }
}

impl Properties for FeishuRobot {
    const PREFIXES: &'static [&'static str] = &["feishu."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = RobotKeys {
            endpoint: Keys {
                url: "feishu.webhook",
                connect_timeout: "feishu.connectTimeoutMilliseconds",
                read_timeout: "feishu.readTimeoutMilliseconds",
            },
            keyword: "feishu.keyword",
            secret: "feishu.secret",
        };
        Robot::read(reader, &keys).map(Self)
    }
}

impl Notifier for Feishu {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let text = self.robot.text(notice, TEXT_LIMIT);
        let mut body = json!({"msg_type": "text", "content": {"text": text}});
        if let Some(secret) = &self.robot.secret {
            sign(&mut body, secret, self.clock.now());
        }
        let answer = self.robot.endpoint.post(&body).await?;
        // Both forms are in use.
        answer.successful_with_code(&[("code", "msg"), ("StatusCode", "StatusMessage")])
    }
}

/// Adds the time and the signature: of an empty message, with the time and the secret as the key.
fn sign(body: &mut Value, secret: &Secret, now: Timestamp) {
    let timestamp = now.as_second().to_string();
    let key = format!("{timestamp}\n{}", secret.reveal());
    body["sign"] = signature(&key, "").into();
    body["timestamp"] = timestamp.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_a_message_with_time_and_secret() {
        let mut body = json!({});
        let now = Timestamp::from_second(1_599_360_473).unwrap();
        sign(&mut body, &Secret::new("this-is-secret"), now);
        // Computed by `openssl dgst -sha256 -hmac $'1599360473\nthis-is-secret' -binary` of nothing.
        assert_eq!(
            body,
            json!({"timestamp": "1599360473", "sign": "P8ililcUS2k3l2NMCzco8uxScD8WOKgMN6YSLRhpo6M="})
        );
    }
}
