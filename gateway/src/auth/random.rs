//! Owns randomness: ids and secrets come from the operating system.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 128 random bits, for an id.
#[must_use]
pub fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

/// 32 random bytes in base64url, for a secret.
#[must_use]
pub fn random_token() -> String {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn fill(bytes: &mut [u8]) {
    // Without randomness every id and every secret could be guessed: better no answer than such a one.
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}
