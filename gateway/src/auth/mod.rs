//! Who asks: tokens, passwords, the root key, and fresh ids.
//!
//! The only place that names `hmac`, `sha2`, `argon2` and `getrandom`. It must not know sockets or
//! the wire. Secrets and tokens are never logged, and are compared in constant time.
//!
//! | credential | form | ends |
//! |---|---|---|
//! | resume token | `jrt_`, signed | after 30 days; each `session.open` gives a new one |
//! | desk token | `jdt_`, signed | after 12 hours, or with the password it came from |
//! | agent token | `jat_`, 32 random bytes, kept as its SHA-256 | when it is removed |
//! | root key | from the configuration | with the process |

use std::time::{SystemTime, UNIX_EPOCH};

use jono_domain::id::{AgentId, CustomerId, OrganisationId};
use jono_domain::time::{DAY_MS, HOUR_MS, Time};
use jono_engine::directory::Directory;

mod password;
mod random;
mod signed;

pub use password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PasswordRefused, Passwords, hash_password, verify_password};
pub use random::{random_bits, random_token};

pub(crate) use signed::sha256;
use signed::{Digest32, Key};

/// How long a customer's resume token lasts.
pub const RESUME_TOKEN_MS: u64 = 30 * DAY_MS;
/// How long an agent stays signed in at the desk: a working day.
pub const DESK_TOKEN_MS: u64 = 12 * HOUR_MS;
/// A token from so far in the future was made by another clock; processes may differ by this much.
const CLOCKS_DIFFER_MS: u64 = 5 * 60 * 1_000;
/// Longer texts are no token of ours, and are not even hashed.
const TOKEN_BYTES_MAX: usize = 256;

const RESUME_PREFIX: &str = "jrt_";
const DESK_PREFIX: &str = "jdt_";
const AGENT_PREFIX: &str = "jat_";

/// Makes and checks credentials. One per process; all processes over one store agree, since the keys
/// come from the secret that lies with the data.
pub struct Auth {
    resume: Key,
    desk: Key,
    fingerprint: Key,
    derived: Key,
    root: Key,
    root_mark: Option<Digest32>,
    passwords: Passwords,
}

/// What an agent's session was opened with; kept to see whether it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An agent token, as its hash.
    Token(Digest32),
    /// A desk token, as the fingerprint of the password behind it.
    Desk([u8; FINGERPRINT_BYTES]),
}

/// Bytes of a password hash's fingerprint in a desk token: enough to tell one password from the next.
pub const FINGERPRINT_BYTES: usize = 8;

/// An agent who has shown a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Of which organisation.
    pub organisation: OrganisationId,
    /// Who.
    pub agent: AgentId,
    /// By what.
    pub credential: Credential,
}

impl Auth {
    /// Keys for each purpose, derived from the engine's secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let master = Key::new(secret);
        Self {
            resume: master.derive("jono resume token 1"),
            desk: master.derive("jono desk token 1"),
            fingerprint: master.derive("jono password fingerprint 1"),
            derived: master.derive("jono derived 1"),
            root: master.derive("jono root key 1"),
            root_mark: None,
            passwords: Passwords::default(),
        }
    }

    /// Sets the root key; without one, nobody is root. An empty key is none.
    #[must_use]
    pub fn with_root_key(mut self, key: Option<&str>) -> Self {
        self.root_mark = key.filter(|key| !key.is_empty()).map(|key| self.root.sign(key.as_bytes()));
        self
    }

    /// Is this the root key?
    #[must_use]
    pub fn is_root(&self, key: &str) -> bool {
        self.root_mark.as_ref().is_some_and(|mark| self.root.verifies(key.as_bytes(), mark))
    }

    /// A token that brings this customer back.
    #[must_use]
    pub fn resume_token(&self, organisation: OrganisationId, customer: CustomerId, now: Time) -> String {
        let claims = signed::Claims { organisation: organisation.bits(), subject: customer.bits(), issued: now.0, extra: [0; 8] };
        signed::seal(&self.resume, RESUME_PREFIX, &claims)
    }

    /// Whose resume token this is, if it is one and has not expired.
    #[must_use]
    pub fn customer_at(&self, token: &str, now: Time) -> Option<(OrganisationId, CustomerId)> {
        let claims = open(&self.resume, RESUME_PREFIX, token, RESUME_TOKEN_MS, now)?;
        Some((OrganisationId::from_bits(claims.organisation), CustomerId::from_bits(claims.subject)))
    }

    /// A token for the desk, for somebody who has just given the password with this hash.
    #[must_use]
    pub fn desk_token(&self, organisation: OrganisationId, agent: AgentId, password_hash: &str, now: Time) -> String {
        let extra = self.fingerprint_of(password_hash);
        let claims = signed::Claims { organisation: organisation.bits(), subject: agent.bits(), issued: now.0, extra };
        signed::seal(&self.desk, DESK_PREFIX, &claims)
    }

    /// A new agent token: the secret, told once, and the hash, to be kept.
    #[must_use]
    pub fn new_agent_token() -> (String, Digest32) {
        let secret = format!("{AGENT_PREFIX}{}", random_token());
        let hash = sha256(secret.as_bytes());
        (secret, hash)
    }

    /// The hash under which an agent token is kept.
    #[must_use]
    pub fn agent_token_hash(secret: &str) -> Digest32 {
        sha256(secret.as_bytes())
    }

    /// The agent whose agent token or desk token this is, now.
    #[must_use]
    pub fn agent_for(&self, directory: &Directory, token: &str) -> Option<(OrganisationId, AgentId)> {
        let signed_in = self.agent_at(directory, token, now())?;
        Some((signed_in.organisation, signed_in.agent))
    }

    /// The agent whose agent token or desk token this is at a moment. Disabled accounts have none.
    #[must_use]
    pub fn agent_at(&self, directory: &Directory, token: &str, now: Time) -> Option<SignedIn> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        if token.starts_with(AGENT_PREFIX) {
            let hash = sha256(token.as_bytes());
            let (organisation, agent, _) = directory.token(&hash)?;
            return Some(SignedIn { organisation: organisation.id, agent, credential: Credential::Token(hash) });
        }
        let claims = open(&self.desk, DESK_PREFIX, token, DESK_TOKEN_MS, now)?;
        let signed_in = SignedIn {
            organisation: OrganisationId::from_bits(claims.organisation),
            agent: AgentId::from_bits(claims.subject),
            credential: Credential::Desk(claims.extra),
        };
        self.still_holds(directory, &signed_in).then_some(signed_in)
    }

    /// Does the credential still stand: the account enabled, the token not removed, the password the
    /// same? Expiry of a desk token is looked at when a session opens, not during it.
    #[must_use]
    pub fn still_holds(&self, directory: &Directory, signed_in: &SignedIn) -> bool {
        let account = directory.organisation(signed_in.organisation).and_then(|it| it.account(signed_in.agent));
        match (account, &signed_in.credential) {
            (None, _) => false,
            (Some(_), Credential::Token(hash)) => directory
                .token(hash)
                .is_some_and(|(organisation, agent, _)| organisation.id == signed_in.organisation && agent == signed_in.agent),
            (Some(account), Credential::Desk(fingerprint)) => {
                account.password_hash.as_deref().is_some_and(|hash| self.fingerprint_of(hash) == *fingerprint)
            }
        }
    }

    /// 32 bytes that nobody outside can guess, always the same for the same purpose and text: what a
    /// request that is repeated with its key must find again.
    #[must_use]
    pub fn derive(&self, purpose: &str, text: &str) -> [u8; 32] {
        self.derived.derive(purpose).sign(text.as_bytes())
    }

    /// Checks passwords on the blocking pool, few at a time.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    fn fingerprint_of(&self, password_hash: &str) -> [u8; FINGERPRINT_BYTES] {
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&self.fingerprint.sign(password_hash.as_bytes())[..FINGERPRINT_BYTES]);
        fingerprint
    }
}

fn open(key: &Key, prefix: &str, token: &str, lasts_ms: u64, now: Time) -> Option<signed::Claims> {
    let claims = signed::unseal(key, prefix, token)?;
    let issued = Time(claims.issued);
    (issued <= now + CLOCKS_DIFFER_MS && now.since_ms(issued) < lasts_ms).then_some(claims)
}

/// The time of day, as tokens and sessions use it.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
