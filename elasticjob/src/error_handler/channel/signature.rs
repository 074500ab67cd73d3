//! How robots know that a message comes from us.
//!
//! The signature covers the time, which goes with it. What else it covers, and which of the two is the key, differs
//! from service to service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The base64 of HMAC-SHA256.
pub(super) fn signature(key: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, message.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of RFC 4231, section 4.3, and the empty message.
    #[test]
    fn signatures_should_be_those_of_the_standard() {
        let signed = signature("Jefe", "what do ya want for nothing?");
        assert_eq!(signed, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        assert_eq!(signature("key", ""), "XV0TlWPJW1lnub2ajJsjOp3ttFByeUzSMtwbdIMmB9A=");
    }
}
