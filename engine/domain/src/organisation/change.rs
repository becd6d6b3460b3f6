//! Changes of an organisation's settings: what is acceptable, and what each does.

use serde::{Deserialize, Serialize};

use super::{Account, Organisation, OrganisationSettings, QueueConfig, Site, TagDefinition, Token};
use crate::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use crate::limits::{AGENTS_MAX, ORIGINS_MAX, QUEUES_MAX, SITES_MAX, TAG_DEFINITIONS_MAX, TOKENS_PER_AGENT_MAX};
use crate::reply::Refusal;
use crate::text::{check_canned, check_name, check_word};
use crate::time::{DAY_MS, SECOND_MS};

/// One change. `Put` makes or replaces; `None` as a value removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It exists now. Root only.
    Create {
        /// Its id.
        organisation: OrganisationId,
        /// Its name.
        name: String,
    },
    /// Another name.
    Rename {
        /// The name.
        name: String,
    },
    /// Other settings.
    SetSettings {
        /// All of them.
        settings: OrganisationSettings,
    },
    /// A site.
    PutSite {
        /// Which.
        site: SiteId,
        /// So.
        config: Option<Site>,
    },
    /// A queue.
    PutQueue {
        /// Which.
        queue: QueueId,
        /// So; a queue with open conversations keeps them until they end.
        config: Option<QueueConfig>,
    },
    /// An agent, without credentials: those stay as they are.
    PutAgent {
        /// Which.
        agent: AgentId,
        /// So.
        account: Option<Box<Account>>,
    },
    /// A password, as its Argon2 hash.
    SetPassword {
        /// Whose.
        agent: AgentId,
        /// The hash.
        password_hash: Option<String>,
    },
    /// A credential.
    PutToken {
        /// Whose.
        agent: AgentId,
        /// Which.
        token_id: TokenId,
        /// So.
        token: Option<Token>,
    },
    /// A tag.
    PutTag {
        /// Its name.
        tag: String,
        /// So.
        definition: Option<TagDefinition>,
    },
    /// A shared canned message.
    PutCanned {
        /// What is typed behind `/`.
        keyword: String,
        /// What it becomes.
        text: Option<String>,
    },
}

/// Is the change acceptable, and does it change anything?
pub(super) fn check(state: &Organisation, id: OrganisationId, change: &Change) -> Result<bool, Refusal> {
    match change {
        Change::Create { name, organisation } if *organisation == id => check_name(name)?,
        Change::Create { .. } => return Err(Refusal::invalid("organisation")),
        Change::Rename { name } => check_name(name)?,
        Change::SetSettings { settings } => within(settings.offline_after_ms, 0, DAY_MS, "offline_after_ms")?,
        Change::PutSite { site, config: Some(config) } => check_site(state, *site, config)?,
        Change::PutQueue { queue, config: Some(config) } => check_queue(state, *queue, config)?,
        Change::PutAgent { agent, account: Some(account) } => check_account(state, *agent, account)?,
        Change::SetPassword { agent, .. } => known(state, *agent).map(|_| ())?,
        Change::PutToken { agent, token_id, token } => {
            let account = known(state, *agent)?;
            if let Some(token) = token {
                check_name(&token.label)?;
                if !account.tokens.contains_key(token_id) {
                    room(account.tokens.len(), TOKENS_PER_AGENT_MAX)?;
                }
            }
        }
        Change::PutTag { tag, definition: Some(definition) } => {
            check_word(tag, "tag")?;
            if let Some(group) = &definition.group {
                check_name(group)?;
            }
            if let Some(colour) = &definition.colour {
                check_word(colour, "colour")?;
            }
            if !state.tags.contains_key(tag) {
                room(state.tags.len(), TAG_DEFINITIONS_MAX)?;
            }
        }
        Change::PutCanned { keyword, text: Some(text) } => check_canned(&state.canned, keyword, text)?,
        Change::PutSite { config: None, .. }
        | Change::PutQueue { config: None, .. }
        | Change::PutAgent { account: None, .. }
        | Change::PutTag { definition: None, .. }
        | Change::PutCanned { text: None, .. } => {}
    }
    let mut after = state.clone();
    apply(&mut after, change);
    Ok(after != *state)
}

/// Makes it so.
pub(super) fn apply(state: &mut Organisation, change: &Change) {
    match change {
        Change::Create { organisation, name } => {
            state.id = *organisation;
            state.created = true;
            state.name.clone_from(name);
        }
        Change::Rename { name } => state.name.clone_from(name),
        Change::SetSettings { settings } => state.settings = settings.clone(),
        Change::PutSite { site, config } => put(&mut state.sites, *site, config.clone()),
        Change::PutQueue { queue, config } => {
            put(&mut state.queues, *queue, config.clone());
            if config.is_none() {
                state.accounts.values_mut().for_each(|account| {
                    account.queues.remove(queue);
                });
                state
                    .sites
                    .values_mut()
                    .filter_map(|site| site.queues.as_mut())
                    .for_each(|queues| queues.retain(|it| it != queue));
                let targets = state.queues.values_mut().filter_map(|config| config.settings.transfer_targets.as_mut());
                targets.for_each(|targets| targets.retain(|target| target != queue));
            }
        }
        Change::PutAgent { agent, account } => {
            let account = account.as_ref().map(|account| {
                let before = state.accounts.get(agent);
                let mut account = (**account).clone();
                account.tokens = before.map(|before| before.tokens.clone()).unwrap_or_default();
                account.password_hash = before.and_then(|before| before.password_hash.clone());
                account
            });
            put(&mut state.accounts, *agent, account);
            if state.account(*agent).is_none() {
                state.board.remove(agent);
            }
        }
        Change::SetPassword { agent, password_hash } => {
            if let Some(account) = state.accounts.get_mut(agent) {
                account.password_hash.clone_from(password_hash);
            }
        }
        Change::PutToken { agent, token_id, token } => {
            if let Some(account) = state.accounts.get_mut(agent) {
                put(&mut account.tokens, *token_id, token.clone());
            }
        }
        Change::PutTag { tag, definition } => put(&mut state.tags, tag.clone(), definition.clone()),
        Change::PutCanned { keyword, text } => put(&mut state.canned, keyword.clone(), text.clone()),
    }
}

fn put<K: Ord, V>(map: &mut std::collections::BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn known(state: &Organisation, agent: AgentId) -> Result<&Account, Refusal> {
    state.accounts.get(&agent).ok_or(Refusal::NotFound)
}

fn room(have: usize, max: usize) -> Result<(), Refusal> {
    if have < max { Ok(()) } else { Err(Refusal::TooLarge { max: max as u64 }) }
}

fn within(value: u64, min: u64, max: u64, field: &'static str) -> Result<(), Refusal> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Refusal::invalid(field)) }
}

fn check_site(state: &Organisation, site: SiteId, config: &Site) -> Result<(), Refusal> {
    check_name(&config.name)?;
    check_word(&config.key, "key")?;
    if state.sites.iter().any(|(other, it)| *other != site && it.key == config.key) {
        return Err(Refusal::conflict("another site has that key"));
    }
    room(config.origins.len(), ORIGINS_MAX + 1)?;
    room(config.queues.iter().flatten().count(), QUEUES_MAX + 1)?;
    for origin in &config.origins {
        check_name(origin)?;
    }
    if config.queues.iter().flatten().any(|queue| !state.queues.contains_key(queue)) {
        return Err(Refusal::invalid("queues"));
    }
    if !state.sites.contains_key(&site) {
        room(state.sites.len(), SITES_MAX)?;
    }
    Ok(())
}

fn check_queue(state: &Organisation, queue: QueueId, config: &QueueConfig) -> Result<(), Refusal> {
    check_name(&config.name)?;
    let policy = &config.settings.policy;
    // A second at least: shorter deadlines would act before anybody could.
    within(policy.release_after_ms, SECOND_MS, DAY_MS, "release_after_ms")?;
    within(policy.close_after_ms, SECOND_MS, 30 * DAY_MS, "close_after_ms")?;
    within(policy.warn_before_ms, 0, DAY_MS, "warn_before_ms")?;
    within(policy.edit_after_close_ms, 0, 365 * DAY_MS, "edit_after_close_ms")?;
    let targets = config.settings.transfer_targets.iter().flatten();
    room(targets.clone().count(), QUEUES_MAX + 1)?;
    if targets.clone().any(|target| !state.queues.contains_key(target)) {
        return Err(Refusal::invalid("transfer_targets"));
    }
    if !state.queues.contains_key(&queue) {
        room(state.queues.len(), QUEUES_MAX)?;
    }
    Ok(())
}

fn check_account(state: &Organisation, agent: AgentId, account: &Account) -> Result<(), Refusal> {
    check_name(&account.name)?;
    if account.queues.iter().any(|queue| !state.queues.contains_key(queue)) {
        return Err(Refusal::invalid("queues"));
    }
    if let Some(login) = &account.login {
        check_word(login, "login")?;
        if state.accounts.iter().any(|(other, account)| *other != agent && account.login.as_ref() == Some(login)) {
            return Err(Refusal::conflict("another agent signs in with that name"));
        }
    }
    if !state.accounts.contains_key(&agent) {
        room(state.accounts.len(), AGENTS_MAX)?;
    }
    Ok(())
}
