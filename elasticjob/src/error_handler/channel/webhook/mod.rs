mod template;

use elasticjob_config::Secret;
use reqwest::Method;
use reqwest::header::HeaderValue;

use self::template::Template;
use super::endpoint::{Endpoint, Keys};
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};
use crate::property::{Accepts, Properties, Reader};

/// `WEBHOOK`: JSON of any shape, sent to any address.
pub(super) struct WebhookFactory;

/// An address that takes JSON.
#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    method: Method,
    authorization: Option<Secret>,
    template: Template,
}

const METHOD: Accepts<Method> = Accepts::new("`POST` or `PUT`", |text| match text.trim() {
    "POST" => Some(Method::POST),
    "PUT" => Some(Method::PUT),
    _ => None,
});

const AUTHORIZATION: Accepts<Secret> = Accepts::new("a header, such as `Bearer ..`", |text| {
    HeaderValue::from_str(text).ok().map(|_| Secret::new(text))
})
.secret();

const TEMPLATE: Accepts<Template> =
    Accepts::explained("JSON with `{{job}}` and the like in its texts", Template::parse);

impl ErrorHandlerFactory for WebhookFactory {
    type Properties = WithInterval<Webhook>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        job.notifying(properties.own, properties.interval)
    }
}

impl Properties for Webhook {
    const PREFIXES: &'static [&'static str] = &["webhook."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = Keys {
            url: "webhook.url",
            connect_timeout: "webhook.connectTimeoutMilliseconds",
            read_timeout: "webhook.readTimeoutMilliseconds",
        };
        let endpoint = Endpoint::read(reader, &keys);
        let method = reader.with_default("webhook.method", &METHOD, "POST");
        let authorization = reader.optional("webhook.authorization", &AUTHORIZATION);
        let template = reader.with_default("webhook.template", &TEMPLATE, template::DEFAULT);
        Some(Self {
            endpoint: endpoint?,
            method: method?,
            authorization: authorization?,
            template: template?,
        })
    }
}

impl Notifier for Webhook {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let authorization = self.authorization.as_ref().map(|it| ("Authorization", it.reveal()));
        let headers: Vec<_> = authorization.into_iter().collect();
        let (url, body) = (self.endpoint.url().clone(), self.template.filled(notice));
        let answer = self.endpoint.send(self.method.clone(), url, &body, &headers).await?;
        answer.successful()
    }
}
