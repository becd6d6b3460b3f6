//! Owns passwords: Argon2id, few at a time, and the same work for names that do not exist.

use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use tokio::sync::Semaphore;

use super::random;

/// Longest password: Argon2 reads all of it.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Shortest password that can be set.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// Argon2 at a time: each takes 19 MiB and some 30 ms of a core that also serves sockets.
const AT_ONCE_MAX: usize = 2;
/// Callers that may wait for their turn; more are told to come back.
const WAITING_MAX: usize = 64;

/// Why a password was not looked at, or not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordRefused {
    /// Shorter than [`PASSWORD_BYTES_MIN`].
    TooShort,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    TooLong,
    /// Too many are being checked.
    Busy,
}

/// The hash of a new password, as a PHC string. Takes tens of milliseconds: for the blocking pool.
///
/// # Errors
/// [`PasswordRefused::TooShort`] and [`PasswordRefused::TooLong`].
pub fn hash_password(password: &str) -> Result<String, PasswordRefused> {
    if password.len() < PASSWORD_BYTES_MIN {
        return Err(PasswordRefused::TooShort);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordRefused::TooLong);
    }
    let mut salt = [0; 16];
    random::fill(&mut salt);
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).expect("the default parameters are valid");
    Ok(hash.to_string())
}

/// Is this the password? `None` stands for an account that does not exist or has no password: as much
/// work is done as for one that does. Takes tens of milliseconds: for the blocking pool.
#[must_use]
pub fn verify_password(password: &str, hash: Option<&str>) -> bool {
    static NOBODYS: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    let matches = |hash: &PasswordHash<'_>| Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
    match parsed {
        Some(hash) => matches(&hash),
        None => {
            let nobodys = NOBODYS.get_or_init(|| hash_password("nobody has this password").expect("it is long enough"));
            let _ = PasswordHash::new(nobodys).map(|hash| matches(&hash));
            false
        }
    }
}

/// Does the work on the blocking pool, a few at a time.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE_MAX)), room: Arc::new(Semaphore::new(WAITING_MAX)) }
    }
}

impl Passwords {
    /// [`hash_password`], in its turn.
    ///
    /// # Errors
    /// Those of [`hash_password`], and [`PasswordRefused::Busy`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordRefused> {
        self.in_turn(move || hash_password(&password)).await?
    }

    /// [`verify_password`], in its turn.
    ///
    /// # Errors
    /// [`PasswordRefused::Busy`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordRefused> {
        self.in_turn(move || verify_password(&password, hash.as_deref())).await
    }

    /// The turn goes along with the work: a caller that gives up does not make room for another.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordRefused> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| PasswordRefused::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| PasswordRefused::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, room));
            done
        });
        done.await.map_err(|_| PasswordRefused::Busy)
    }
}
