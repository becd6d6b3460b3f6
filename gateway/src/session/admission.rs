//! Owns who may open a session: by a site and a resume token, or by an agent's token, and from which pages.

use std::collections::BTreeMap;

use jono_domain::id::{ConversationId, CustomerId};
use jono_domain::text::check_name;
use jono_engine::directory::Directory;
use serde_json::value::RawValue;

use super::gateway::Origin;
use super::limits::{PAGE_BYTES_MAX, SINCE_MAX};
use super::open::Context;
use super::party::{AgentParty, CustomerParty, Party};
use crate::wire::envelope::read_params;
use crate::wire::error::WireError;
use crate::wire::params::{OpenRole, SessionOpen};

/// A `session.open` that is answered at once, with an error.
pub(super) struct Failed {
    pub(super) error: WireError,
    /// The credential is wrong: the connection is closed, and the client must not come back with it.
    pub(super) is_final: bool,
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self { error, is_final: false }
    }
}

pub(super) fn turned_away(error: WireError) -> Failed {
    Failed { error, is_final: true }
}

/// Who it is, and what they bring.
pub(super) struct Admitted {
    pub(super) party: Party,
    /// What they have of conversations.
    pub(super) since: BTreeMap<ConversationId, u64>,
    /// A customer who has come back.
    pub(super) was_resumed: bool,
    /// What they had of conversations was of another log.
    pub(super) is_other_log: bool,
}

/// Who it is, by what they show.
pub(super) fn admitted(
    params: Option<&RawValue>,
    origin: Option<&Origin>,
    directory: &Directory,
    context: &Context<'_>,
) -> Result<Admitted, Failed> {
    let params: SessionOpen = read_params(params)?;
    let log = log_name(context.gateway.engine.log_identity());
    let is_other_log = params.log.as_ref().is_some_and(|theirs| *theirs != log);
    let since: BTreeMap<_, _> =
        params.since.iter().flatten().map(|(id, seq)| (id.0, if is_other_log { 0 } else { *seq })).collect();
    if since.len() > SINCE_MAX {
        return Err(WireError::too_large(SINCE_MAX as u64).into());
    }
    let (party, was_resumed) = match params.role {
        OpenRole::Customer => customer(params, origin, directory, context)?,
        OpenRole::Agent => (agent(&params, origin, directory, context)?, false),
    };
    Ok(Admitted { party, since, was_resumed, is_other_log })
}

/// How clients know a log.
pub(super) fn log_name(identity: u64) -> String {
    format!("log_{identity:016x}")
}

fn customer(
    params: SessionOpen,
    origin: Option<&Origin>,
    directory: &Directory,
    context: &Context<'_>,
) -> Result<(Party, bool), Failed> {
    let key = params.site.ok_or_else(|| WireError::invalid_params(Some("site"), "a customer names the site"))?;
    let unknown = || turned_away(WireError::unauthorized("no such site"));
    let (organisation, site) = directory.site(&key).ok_or_else(unknown)?;
    let config = organisation.sites.get(&site).ok_or_else(unknown)?;
    let is_allowed = |origin: &Origin| config.origins.is_empty() || config.origins.iter().any(|allowed| origin.is(allowed));
    if !origin.is_none_or(is_allowed) {
        return Err(turned_away(WireError::refused("forbidden", "not from pages of this origin")));
    }
    let resumed = match &params.resume {
        None => None,
        Some(token) => {
            let resumed = context.gateway.auth.customer_at(token, context.now).filter(|(id, _)| *id == organisation.id);
            Some(resumed.ok_or_else(|| turned_away(WireError::unauthorized("the resume token is not valid")))?.1)
        }
    };
    if let Some(name) = &params.name {
        check_name(name).map_err(|refusal| WireError::of(&refusal, |_| serde_json::Value::Null))?;
    }
    let mut metadata = params.metadata.unwrap_or_default().into_set();
    let page = params.page.unwrap_or_default().into_set();
    metadata.extend(super::party::page_metadata(page, params.locale));
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.bytes()).sum();
    if bytes > PAGE_BYTES_MAX {
        return Err(WireError::too_large(PAGE_BYTES_MAX as u64).into());
    }
    let party = CustomerParty {
        organisation: organisation.id,
        customer: resumed.unwrap_or_else(|| CustomerId::from_bits(context.gateway.settings.ids.next())),
        site,
        name: params.name,
        metadata,
    };
    Ok((Party::Customer(Box::new(party)), resumed.is_some()))
}

fn agent(params: &SessionOpen, origin: Option<&Origin>, directory: &Directory, context: &Context<'_>) -> Result<Party, Failed> {
    let wrong = || turned_away(WireError::unauthorized("the token is not valid"));
    let token = params.token.as_deref();
    let token = token.ok_or_else(|| WireError::invalid_params(Some("token"), "an agent shows a token"))?;
    if !context.gateway.admits_desk(origin) {
        return Err(turned_away(WireError::refused("forbidden", "not from pages of this origin")));
    }
    let signed_in = context.gateway.auth.agent_at(directory, token, context.now).ok_or_else(wrong)?;
    let account = directory.organisation(signed_in.organisation).and_then(|it| it.account(signed_in.agent));
    let account = account.ok_or_else(wrong)?;
    Ok(Party::Agent(Box::new(AgentParty { signed_in, role: account.role, queues: account.queues.clone() })))
}
