//! Owns signed tokens: what is in them and how they are sealed. Knows no account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A SHA-256 or HMAC-SHA256.
pub type Digest32 = [u8; 32];

/// The form of the bytes below; another form gets another number.
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 16 + 16 + 8 + 8;
const TOKEN_BYTES: usize = BODY_BYTES + 32;

/// An HMAC-SHA256 key for one purpose.
pub struct Key([u8; 32]);

impl Key {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose.
    pub fn derive(&self, purpose: &str) -> Key {
        Key(self.sign(purpose.as_bytes()))
    }

    pub fn sign(&self, message: &[u8]) -> Digest32 {
        self.mac(message).finalize().into_bytes().into()
    }

    /// In constant time.
    pub fn verifies(&self, message: &[u8], mark: &[u8]) -> bool {
        self.mac(message).verify_slice(mark).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(message);
        mac
    }
}

pub fn sha256(bytes: &[u8]) -> Digest32 {
    Sha256::digest(bytes).into()
}

/// What a signed token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    pub organisation: u128,
    /// A customer or an agent, by the token's purpose.
    pub subject: u128,
    /// Milliseconds since 1970.
    pub issued: u64,
    /// By the token's purpose.
    pub extra: [u8; 8],
}

/// The token for these claims.
pub fn seal(key: &Key, prefix: &str, claims: &Claims) -> String {
    let mut token = Vec::with_capacity(TOKEN_BYTES);
    token.push(VERSION);
    token.extend_from_slice(&claims.organisation.to_be_bytes());
    token.extend_from_slice(&claims.subject.to_be_bytes());
    token.extend_from_slice(&claims.issued.to_be_bytes());
    token.extend_from_slice(&claims.extra);
    let mark = key.sign(&token);
    token.extend_from_slice(&mark);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(&token))
}

/// The claims of a token that was sealed with this key.
pub fn unseal(key: &Key, prefix: &str, token: &str) -> Option<Claims> {
    let encoded = token.strip_prefix(prefix)?;
    if encoded.len() != TOKEN_BYTES.div_ceil(3) * 4 - (3 - TOKEN_BYTES % 3) % 3 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let (body, mark) = bytes.split_at_checked(BODY_BYTES)?;
    if !key.verifies(body, mark) || body[0] != VERSION {
        return None;
    }
    Some(Claims {
        organisation: u128::from_be_bytes(body[1..17].try_into().ok()?),
        subject: u128::from_be_bytes(body[17..33].try_into().ok()?),
        issued: u64::from_be_bytes(body[33..41].try_into().ok()?),
        extra: body[41..49].try_into().ok()?,
    })
}
