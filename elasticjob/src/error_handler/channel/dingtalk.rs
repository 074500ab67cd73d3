use std::sync::Arc;

use elasticjob_config::Secret;
use jiff::Timestamp;
use reqwest::{Method, Url};
use serde_json::json;

use super::endpoint::Keys;
use super::robot::{Robot, RobotKeys};
use super::signature::signature;
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};
use crate::property::{Properties, Reader};
use crate::schedule::Clock;

/// The service refuses messages that are longer.
const TEXT_LIMIT: usize = 18_000;

/// `DINGTALK`: a message by a robot of a DingTalk group.
pub(super) struct DingTalkFactory;

/// What a robot of a DingTalk group asks for.
#[derive(Debug)]
pub(super) struct DingTalkRobot(Robot);

struct DingTalk {
    robot: Robot,
    clock: Arc<dyn Clock>,
}

impl ErrorHandlerFactory for DingTalkFactory {
    type Properties = WithInterval<DingTalkRobot>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        let notifier = DingTalk {
            robot: properties.own.0,
            clock: job.clock(),
        };
        job.notifying(notifier, properties.interval)
    }
}

impl Properties for DingTalkRobot {
    const PREFIXES: &'static [&'static str] = &["dingtalk."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = RobotKeys {
            endpoint: Keys {
                url: "dingtalk.webhook",
                connect_timeout: "dingtalk.connectTimeoutMilliseconds",
                read_timeout: "dingtalk.readTimeoutMilliseconds",
            },
            keyword: "dingtalk.keyword",
            secret: "dingtalk.secret",
        };
        Robot::read(reader, &keys).map(Self)
    }
}

impl Notifier for DingTalk {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let text = self.robot.text(notice, TEXT_LIMIT);
        let body = json!({"msgtype": "text", "text": {"content": text}});
        let mut url = self.robot.endpoint.url().clone();
        if let Some(secret) = &self.robot.secret {
            sign(&mut url, secret, self.clock.now());
        }
        let answer = self.robot.endpoint.send(Method::POST, url, &body, &[]).await?;
        answer.successful_with_code(&[("errcode", "errmsg")])
    }
}

/// Adds the time and the signature to the address, whether it has a query or not.
fn sign(url: &mut Url, secret: &Secret, now: Timestamp) {
    let timestamp = now.as_millisecond().to_string();
    let message = format!("{timestamp}\n{}", secret.reveal());
    url.query_pairs_mut()
        .append_pair("timestamp", &timestamp)
        .append_pair("sign", &signature(secret.reveal(), &message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_an_address_with_and_without_a_query() {
        // Computed by `openssl dgst -sha256 -hmac this-is-secret -binary`.
        let signed = "timestamp=1577262236757&sign=uKpGCdMEz2zrXuhsHq6H8h%2Fw%2FKKnh6QF7%2Bl5zjgxOIc%3D";
        let check = |address: &str, expect: String| {
            let mut url = Url::parse(address).unwrap();
            let now = Timestamp::from_millisecond(1_577_262_236_757).unwrap();
            sign(&mut url, &Secret::new("this-is-secret"), now);
            assert_eq!(url.as_str(), expect);
        };
        check(
            "https://oapi.dingtalk.com/robot/send?access_token=x%2By",
            format!("https://oapi.dingtalk.com/robot/send?access_token=x%2By&{signed}"),
        );
        check("https://127.0.0.1/send", format!("https://127.0.0.1/send?{signed}"));
    }
}
