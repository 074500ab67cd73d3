//! The ways to tell people that the framework brings, a feature each.
//!
//! Each way is a factory, which reads and checks its props when the application starts, and a notifier, which delivers
//! one notice and says whether another try may help. When to send, how often to try and what to sum up is decided by
//! the outbox for all of them alike. Whole addresses and secrets are never shown, not even in an error: the address of a
//! robot is its password.

#[cfg(feature = "_web-hook")]
#[cfg_attr(not(feature = "full"), allow(dead_code, reason = "each way takes a part of it"))]
mod answer;
#[cfg(feature = "dingtalk")]
mod dingtalk;
#[cfg(feature = "email")]
mod email;
#[cfg(feature = "_web-hook")]
#[cfg_attr(not(feature = "full"), allow(dead_code, reason = "each way takes a part of it"))]
mod endpoint;
#[cfg(feature = "feishu")]
mod feishu;
#[cfg(feature = "_signature")]
mod robot;
#[cfg(feature = "_signature")]
mod signature;
#[cfg(feature = "slack")]
mod slack;
#[cfg(feature = "webhook")]
mod webhook;
#[cfg(feature = "wechat")]
mod wechat;

use super::factory::ErrorHandlerKind;

/// The ways there are, by their names.
pub(super) fn all() -> Vec<(&'static str, ErrorHandlerKind)> {
    vec![
        #[cfg(feature = "dingtalk")]
        ("DINGTALK", ErrorHandlerKind::per_job(dingtalk::DingTalkFactory)),
        #[cfg(feature = "email")]
        ("EMAIL", ErrorHandlerKind::per_job(email::EmailFactory)),
        #[cfg(feature = "feishu")]
        ("FEISHU", ErrorHandlerKind::per_job(feishu::FeishuFactory)),
        #[cfg(feature = "slack")]
        ("SLACK", ErrorHandlerKind::per_job(slack::SlackFactory)),
        #[cfg(feature = "webhook")]
        ("WEBHOOK", ErrorHandlerKind::per_job(webhook::WebhookFactory)),
        #[cfg(feature = "wechat")]
        ("WECHAT", ErrorHandlerKind::per_job(wechat::WechatFactory)),
    ]
}

/// Names of ways with the feature that brings each, whether it is switched on or not.
pub(super) const FEATURES: [(&str, &str); 6] = [
    ("DINGTALK", "dingtalk"),
    ("EMAIL", "email"),
    ("FEISHU", "feishu"),
    ("SLACK", "slack"),
    ("WEBHOOK", "webhook"),
    ("WECHAT", "wechat"),
];
