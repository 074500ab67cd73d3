//! Random texts that cannot be guessed, and the digests by which they are known again.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// What is kept of a text that must not be read where it is kept.
pub(crate) type Digest = [u8; 32];

/// Returns the SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> Digest {
    let mut sum = Digest::default();
    sum.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    sum
}

/// Returns bytes of the system's generator.
pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system gives random bytes");
    bytes
}

/// Returns so many random bytes as a text for URLs and cookies.
pub(crate) fn text<const LENGTH: usize>() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<LENGTH>())
}

/// Returns a digest in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
