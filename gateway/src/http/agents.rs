//! Agents and their credentials.

use jono_domain::id::{AgentId, TokenId};
use jono_domain::organisation::{Account, Change, Token};

use super::call::{Call, hex};
use super::forms::{AgentForm, AgentShown, NewPassword, NewToken, Page, TokenMade, TokenShown};
use super::problem::Problem;
use crate::auth::{Auth, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PasswordRefused, now};

pub(super) async fn list(call: Call) -> Result<Page<AgentShown>, Problem> {
    let accounts = &call.organisation().accounts;
    let (items, cursor) = call.page(accounts, AgentId::to_string, |id, account| AgentShown::new(*id, account))?;
    Ok(Page { items, cursor })
}

pub(super) async fn create(call: Call, form: AgentForm) -> Result<AgentShown, Problem> {
    store(&call, AgentId::from_bits(call.fresh_bits()), form).await
}

pub(super) async fn get(call: Call) -> Result<AgentShown, Problem> {
    let id = call.id("agent")?;
    Ok(AgentShown::new(id, account(&call, id)?))
}

pub(super) async fn put(call: Call, form: AgentForm) -> Result<AgentShown, Problem> {
    let id = call.id("agent")?;
    store(&call, id, form).await
}

pub(super) async fn delete(call: Call) -> Result<(), Problem> {
    let agent = call.id("agent")?;
    if !call.has_key() {
        account(&call, agent)?;
    }
    call.change(Change::PutAgent { agent, account: None }).await
}

pub(super) async fn create_token(call: Call, form: NewToken) -> Result<TokenMade, Problem> {
    let agent = call.id("agent")?;
    account(&call, agent)?;
    let token_id = TokenId::from_bits(call.fresh_bits());
    let secret = format!("{SECRET_PREFIX}{}", hex(&call.fresh("agent token")));
    let token = Token { hash: Auth::agent_token_hash(&secret), label: form.label, created_at: now() };
    call.change(Change::PutToken { agent, token_id, token: Some(token.clone()) }).await?;
    let after = call.organisation_now()?;
    let stored = after.accounts.get(&agent).and_then(|account| account.tokens.get(&token_id));
    Ok(TokenMade { token: TokenShown::new(token_id, stored.unwrap_or(&token)), secret })
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

/// Disabled ones too.
fn account(call: &Call, agent: AgentId) -> Result<&Account, Problem> {
    call.organisation().accounts.get(&agent).ok_or_else(Problem::not_found)
}

async fn store(call: &Call, agent: AgentId, form: AgentForm) -> Result<AgentShown, Problem> {
    if call.state.admin.directory().of_agent(agent).is_some_and(|owner| owner.id != call.organisation().id) {
        return Err(Problem::not_found());
    }
    let account = Account::from(form);
    call.change(Change::PutAgent { agent, account: Some(Box::new(account.clone())) }).await?;
    Ok(AgentShown::new(agent, call.organisation_now()?.accounts.get(&agent).unwrap_or(&account)))
}
