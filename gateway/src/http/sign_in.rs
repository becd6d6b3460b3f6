//! Name and password for a desk token.

use jono_domain::limits::WORD_BYTES_MAX;

use super::call::Call;
use super::forms::{Id, SignInForm, SignedIn, WithId};
use super::problem::Problem;
use crate::auth::{DESK_TOKEN_MS, now};

/// Unknown organisations, unknown names, accounts without a password and wrong passwords are answered
/// alike, after the same work.
pub(super) async fn sign_in(call: Call, form: SignInForm) -> Result<SignedIn, Problem> {
    let SignInForm { organisation: Id(organisation), login, password } = form;
    if login.len() > WORD_BYTES_MAX {
        return Err(Problem::invalid("login", format!("a login has at most {WORD_BYTES_MAX} bytes")));
    }
    call.state.may_sign_in(call.address, organisation, &login)?;
    let directory = call.state.admin.directory();
    let found = directory.organisation(organisation).and_then(|organisation| {
        let mut accounts = organisation.accounts.iter();
        accounts.find(|(_, account)| !account.disabled && account.login.as_ref() == Some(&login))
    });
    let hash = found.and_then(|(_, account)| account.password_hash.clone());
    let right = call.state.auth.passwords().verify(password, hash.clone()).await.map_err(|_| Problem::busy(1000))?;
    match (found, hash) {
        (Some((agent, account)), Some(hash)) if right => {
            let at = now();
            let token = call.state.auth.desk_token(organisation, *agent, &hash, at);
            let agent = WithId { id: Id(*agent), it: account.into() };
            Ok(SignedIn { token, expires_at: (at + DESK_TOKEN_MS).0, agent })
        }
        _ => Err(Problem::unauthorized("name or password is wrong")),
    }
}
