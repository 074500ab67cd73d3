use serde_json::json;

use super::endpoint::{Endpoint, Keys};
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};
use crate::property::{Properties, Reader};

/// The service refuses texts that are longer.
const TEXT_LIMIT: usize = 2048;

/// `WECHAT`: a message by a robot of a WeCom group.
pub(super) struct WechatFactory;

/// A robot of a WeCom group.
#[derive(Debug)]
pub(super) struct Wechat {
    endpoint: Endpoint,
}

impl ErrorHandlerFactory for WechatFactory {
    type Properties = WithInterval<Wechat>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        job.notifying(properties.own, properties.interval)
    }
}

impl Properties for Wechat {
    const PREFIXES: &'static [&'static str] = &["wechat."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = Keys {
            url: "wechat.webhook",
            connect_timeout: "wechat.connectTimeoutMilliseconds",
            read_timeout: "wechat.readTimeoutMilliseconds",
        };
        Endpoint::read(reader, &keys).map(|endpoint| Self { endpoint })
    }
}

impl Notifier for Wechat {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = json!({"msgtype": "text", "text": {"content": notice.text_within(TEXT_LIMIT)}});
        let answer = self.endpoint.post(&body).await?;
        answer.successful_with_code(&[("errcode", "errmsg")])
    }
}
