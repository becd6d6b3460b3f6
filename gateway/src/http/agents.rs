//! Agents and their credentials.

use jono_domain::account::{Role, Who};
use jono_domain::id::{AgentId, TokenId};
use jono_domain::organisation::{Account, Change, Organisation, Token};
use jono_domain::reply::Refusal;
use jono_domain::time::Time;

use super::call::{Call, hex};
use super::forms::{AgentForm, AgentPut, AgentShown, NewPassword, NewToken, Page, TokenMade, TokenShown};
use super::problem::Problem;
use crate::auth::{Auth, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PasswordRefused, now};

pub(super) async fn list(call: Call) -> Result<Page<AgentShown>, Problem> {
    let accounts = &call.organisation().accounts;
    let (items, cursor) = call.page(accounts, AgentId::to_string, |id, account| AgentShown::new(*id, account))?;
    Ok(Page { items, cursor })
}

pub(super) async fn create(call: Call, form: AgentForm) -> Result<AgentShown, Problem> {
    store(&call, AgentId::from_bits(call.fresh_bits()), form.into()).await
}

pub(super) async fn get(call: Call) -> Result<AgentShown, Problem> {
    let id = call.id("agent")?;
    Ok(AgentShown::new(id, account(&call, id)?))
}

pub(super) async fn put(call: Call, form: AgentPut) -> Result<AgentShown, Problem> {
    let id = call.id("agent")?;
    let organisation = call.organisation_now()?;
    // Ids come from `create` alone: one that was removed, here or elsewhere, is never made again by its name.
    let account = form.over(organisation.accounts.get(&id).ok_or_else(Problem::not_found)?);
    if !is_operator(&account) && is_last_operator(&organisation, id) {
        return Err(last_operator());
    }
    store(&call, id, account).await
}

pub(super) async fn delete(call: Call) -> Result<(), Problem> {
    let agent = call.id("agent")?;
    if !call.has_key() {
        account(&call, agent)?;
    }
    // The root key can make another one.
    if call.who != Some(Who::Root) && is_last_operator(call.organisation(), agent) {
        return Err(last_operator());
    }
    call.change(Change::PutAgent { agent, account: None }).await
}

pub(super) async fn create_token(call: Call, form: NewToken) -> Result<TokenMade, Problem> {
    let agent = call.id("agent")?;
    account(&call, agent)?;
    let token_id = TokenId::from_bits(call.fresh_bits());
    // Of a request with a key, the secret comes from the key and the moment at which the token was made: a
    // repetition finds it while the token is stored, and no request makes it again once the token is gone.
    let at = now();
    let mut secret = secret(&call, at);
    let token = Token { hash: Auth::agent_token_hash(&secret), label: form.label, created_at: at };
    call.change(Change::PutToken { agent, token_id, token: Some(token) }).await?;
    let after = call.organisation_now()?;
    let stored = after.accounts.get(&agent).and_then(|account| account.tokens.get(&token_id));
    let gone = || Refusal::conflict("the token that this `Idempotency-Key` made is not stored any more: use another key");
    let stored = stored.ok_or_else(gone)?;
    if stored.hash != Auth::agent_token_hash(&secret) {
        secret = self::secret(&call, stored.created_at);
    }
    if stored.hash != Auth::agent_token_hash(&secret) {
        return Err(gone().into());
    }
    Ok(TokenMade { token: TokenShown::new(token_id, stored), secret })
}

pub(super) async fn delete_token(call: Call) -> Result<(), Problem> {
    let (agent, token_id) = (call.id("agent")?, call.id("token")?);
    if !account(&call, agent)?.tokens.contains_key(&token_id) && !call.has_key() {
        return Err(Problem::not_found());
    }
    call.change(Change::PutToken { agent, token_id, token: None }).await
}

pub(super) async fn put_password(call: Call, form: NewPassword) -> Result<(), Problem> {
    let agent = call.id("agent")?;
    account(&call, agent)?;
    let hash = call.state.auth.passwords().hash(form.password).await.map_err(|refused| match refused {
        PasswordRefused::TooShort | PasswordRefused::TooLong => {
            Problem::invalid("password", format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes"))
        }
        PasswordRefused::Busy => Problem::busy(1000),
    })?;
    call.change(Change::SetPassword { agent, password_hash: Some(hash) }).await
}

pub(super) async fn delete_password(call: Call) -> Result<(), Problem> {
    let agent = call.id("agent")?;
    account(&call, agent)?;
    call.change(Change::SetPassword { agent, password_hash: None }).await
}

/// What agent tokens begin with.
const SECRET_PREFIX: &str = "jat_";

fn secret(call: &Call, made_at: Time) -> String {
    format!("{SECRET_PREFIX}{}", hex(&call.fresh(&format!("agent token made at {}", made_at.0))))
}

fn is_operator(account: &Account) -> bool {
    account.role == Role::Operator && !account.disabled
}

/// Would nobody be left who administers the organisation?
fn is_last_operator(organisation: &Organisation, agent: AgentId) -> bool {
    let mut operators = organisation.accounts.iter().filter(|(_, account)| is_operator(account));
    operators.next().is_some_and(|(id, _)| *id == agent) && operators.next().is_none()
}

fn last_operator() -> Problem {
    Refusal::conflict("this is the organisation's last enabled operator: make another one first").into()
}

/// Disabled ones too.
fn account(call: &Call, agent: AgentId) -> Result<&Account, Problem> {
    call.organisation().accounts.get(&agent).ok_or_else(Problem::not_found)
}

async fn store(call: &Call, agent: AgentId, account: Account) -> Result<AgentShown, Problem> {
    call.change(Change::PutAgent { agent, account: Some(Box::new(account.clone())) }).await?;
    Ok(AgentShown::new(agent, call.organisation_now()?.accounts.get(&agent).unwrap_or(&account)))
}
