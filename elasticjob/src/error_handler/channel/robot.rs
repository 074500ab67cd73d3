//! What the robots of group chats have in common: an address, a word that they look for, a secret that signs.

use elasticjob_config::Secret;

use super::endpoint::{Endpoint, Keys};
use crate::error_handler::Notice;
use crate::property::{Reader, accept};

/// What a robot asks for.
#[derive(Debug)]
pub(super) struct Robot {
    pub(super) endpoint: Endpoint,
    /// It takes only texts that hold it.
    keyword: Option<String>,
    /// It takes only messages that are signed with it.
    pub(super) secret: Option<Secret>,
}

/// The props that say so.
pub(super) struct RobotKeys {
    pub(super) endpoint: Keys,
    pub(super) keyword: &'static str,
    pub(super) secret: &'static str,
}

impl Robot {
    /// Reads what a robot asks for. Keyword and secret are optional: each group decides which of them its robot wants.
    pub(super) fn read(reader: &mut Reader<'_>, keys: &RobotKeys) -> Option<Self> {
        let endpoint = Endpoint::read(reader, &keys.endpoint);
        let keyword = reader.optional(keys.keyword, &accept::TEXT);
        let secret = reader.optional(keys.secret, &accept::SECRET);
        Some(Self {
            endpoint: endpoint?,
            keyword: keyword?,
            secret: secret?,
        })
    }

    /// Returns the message, with the keyword that the robot requires.
    pub(super) fn text(&self, notice: &Notice, limit: usize) -> String {
        let keyword = self.keyword.as_deref().unwrap_or_default();
        format!("{keyword}{}", notice.text_within(limit))
    }
}
