//! The demo organisation: always the same ids and credentials, all of them public.
//!
//! What is missing is made at every start; what somebody has changed since stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::message::Order;
use jono_domain::organisation::{Account, Change, Command, Organisation, QueueConfig, QueueSettings, Site, TagDefinition, Token};
use jono_engine::directory::Directory;

use crate::auth::{Auth, hash_password, now};
use crate::http::Admin;

mod bots;
mod talks;
mod welcome;

pub use bots::Bots;
pub use welcome::welcome;

/// The demo organisation's id.
pub const ORGANISATION: &str = "org_demoaaaaaaaaaaaaaaaaaaaaaa";
/// The public key of its site.
pub const SITE_KEY: &str = "demo";
/// The id of the queue *Sales*.
pub const SALES: &str = "q_demosalesaaaaaaaaaaaaaaaaa";
/// The id of the queue *Support*.
pub const SUPPORT: &str = "q_demosupportaaaaaaaaaaaaaaa";
/// The password of every demo agent.
pub const PASSWORD: &str = "demo-demo";

const SITE: &str = "site_demoaaaaaaaaaaaaaaaaaaaaaa";

/// An agent of the demo; also its login.
struct DemoAgent {
    login: &'static str,
    name: &'static str,
    role: Role,
    id: &'static str,
    token_id: &'static str,
}

const AGENTS: [DemoAgent; 3] = [
    DemoAgent {
        login: "anna",
        name: "Anna",
        role: Role::Agent,
        id: "agt_demoannaaaaaaaaaaaaaaaaaaa",
        token_id: "tok_demoannaaaaaaaaaaaaaaaaaaa",
    },
    DemoAgent {
        login: "ben",
        name: "Ben",
        role: Role::Agent,
        id: "agt_demobenaaaaaaaaaaaaaaaaaaa",
        token_id: "tok_demobenaaaaaaaaaaaaaaaaaaa",
    },
    DemoAgent {
        login: "olivia",
        name: "Olivia",
        role: Role::Operator,
        id: "agt_demooliviaaaaaaaaaaaaaaaaa",
        token_id: "tok_demooliviaaaaaaaaaaaaaaaaa",
    },
];

const TAGS: [(&str, &str, &str); 4] = [
    ("order", "Subject", "#0969da"),
    ("invoice", "Subject", "#8250df"),
    ("bug", "Subject", "#cf222e"),
    ("solved", "Outcome", "#1a7f37"),
];

const CANNED: [(&str, &str); 3] = [
    ("hello", "Hello! I am [agent]. How can I help?"),
    ("moment", "One moment, please, I am looking into it."),
    ("bye", "Thank you for your time. Have a nice day!"),
];

/// The secret of a demo agent's token.
#[must_use]
pub fn token(login: &str) -> String {
    format!("jat_demo-{login}")
}

/// Can somebody sign in with credentials that everybody knows? The demo outlives the flag: it is in the
/// data directory.
#[must_use]
pub fn is_open_to_all(directory: &Directory) -> bool {
    let demo = directory.organisation(known(ORGANISATION));
    demo.is_some_and(|demo| AGENTS.iter().any(|agent| demo.account(known(agent.id)).is_some()))
}

/// Makes what is missing of the demo organisation.
///
/// # Errors
/// What could not be made, and why.
pub async fn create(engine: &impl Admin) -> Result<(), String> {
    let id: OrganisationId = known(ORGANISATION);
    let directory = engine.directory();
    if directory.site(SITE_KEY).is_some_and(|(owner, _)| owner.id != id) {
        return Err("the demo organisation cannot be made: another organisation's site has the key `demo`".into());
    }
    let found = directory.organisation(id).map(|found| Organisation::clone(found)).unwrap_or_default();
    for (what, change) in missing(&found, id)? {
        let order = Order::Organisation(id, Box::new(Command::Change(Box::new(change))));
        let made = engine.ask(Who::Root, None, order).await;
        made.map_err(|refusal| format!("the demo organisation cannot be made: {what}: {refusal:?}"))?;
    }
    Ok(())
}

/// The changes that make the demo organisation of what there is, in an order in which each is acceptable.
fn missing(found: &Organisation, id: OrganisationId) -> Result<Vec<(&'static str, Change)>, String> {
    let mut changes = Vec::new();
    if !found.created {
        changes.push(("organisation", Change::Create { organisation: id, name: "Demo".into() }));
    }
    let queues: [(QueueId, &str); 2] = [(known(SALES), "Sales"), (known(SUPPORT), "Support")];
    for (queue, name) in queues {
        if !found.queues.contains_key(&queue) {
            let config = QueueConfig { name: name.into(), settings: QueueSettings::default() };
            changes.push(("queue", Change::PutQueue { queue, config: Some(config) }));
        }
    }
    let site: SiteId = known(SITE);
    if !found.sites.contains_key(&site) {
        let config = Site { key: SITE_KEY.into(), name: "Demo".into(), origins: Vec::new(), queues: None };
        changes.push(("site", Change::PutSite { site, config: Some(config) }));
    }
    for demo in &AGENTS {
        agent(demo, found, &queues.map(|(queue, _)| queue), &mut changes)?;
    }
    for (tag, group, colour) in TAGS.into_iter().filter(|(tag, ..)| !found.tags.contains_key(*tag)) {
        let definition = TagDefinition { group: Some(group.into()), colour: Some(colour.into()) };
        changes.push(("tag", Change::PutTag { tag: tag.into(), definition: Some(definition) }));
    }
    for (keyword, text) in CANNED.into_iter().filter(|(keyword, _)| !found.canned.contains_key(*keyword)) {
        changes.push(("canned message", Change::PutCanned { keyword: keyword.into(), text: Some(text.into()) }));
    }
    Ok(changes)
}

fn agent(
    demo: &DemoAgent,
    found: &Organisation,
    queues: &[QueueId],
    changes: &mut Vec<(&'static str, Change)>,
) -> Result<(), String> {
    let (agent, token_id): (AgentId, TokenId) = (known(demo.id), known(demo.token_id));
    let account = found.accounts.get(&agent);
    if account.is_none() {
        let account = Account {
            name: demo.name.into(),
            kind: AccountKind::Person,
            role: demo.role,
            queues: BTreeSet::from_iter(queues.iter().copied()),
            login: Some(demo.login.into()),
            password_hash: None,
            tokens: BTreeMap::new(),
            disabled: false,
        };
        changes.push(("agent", Change::PutAgent { agent, account: Some(Box::new(account)) }));
    }
    if account.is_none_or(|account| account.password_hash.is_none()) {
        let hash = hash_password(PASSWORD).map_err(|refused| format!("the demo's password is refused: {refused:?}"))?;
        changes.push(("password", Change::SetPassword { agent, password_hash: Some(hash) }));
    }
    if account.is_none_or(|account| !account.tokens.contains_key(&token_id)) {
        let hash = Auth::agent_token_hash(&token(demo.login));
        let token = Token { hash, label: "demo".into(), created_at: now() };
        changes.push(("token", Change::PutToken { agent, token_id, token: Some(token) }));
    }
    Ok(())
}

fn known<I: FromStr<Err: std::fmt::Debug>>(id: &str) -> I {
    id.parse().expect("the demo's ids are ids")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_whole_demo_misses_nothing() {
        let id = known(ORGANISATION);
        let engine = crate::http::FakeEngine::default();
        actix_rt::System::new().block_on(async {
            create(&engine).await.unwrap();
            let made = engine.directory().organisation(id).cloned().unwrap();
            assert_eq!((made.queues.len(), made.accounts.len(), made.sites.len()), (2, 3, 1));
            assert!(missing(&made, id).unwrap().is_empty());
            create(&engine).await.unwrap();
            assert_eq!(engine.directory().organisation(id), Some(&made));
        });
        assert!(is_open_to_all(&engine.directory()) && !is_open_to_all(&Directory::default()));
        let auth = Auth::new([0; 32]);
        for demo in &AGENTS {
            assert_eq!(auth.agent_for(&engine.directory(), &token(demo.login)), Some((id, known(demo.id))));
        }
    }

    #[test]
    fn the_demo_leaves_a_changed_name_alone() {
        let id = known(ORGANISATION);
        let found = Organisation { id, created: true, name: "Mine".into(), ..Organisation::default() };
        let changes = missing(&found, id).unwrap();
        assert!(!changes.iter().any(|(_, change)| matches!(change, Change::Create { .. } | Change::Rename { .. })));
    }

    #[test]
    fn the_welcome_names_what_there_is() {
        let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let text = welcome(address, true);
        assert!(text.contains("--no-bots") && !welcome(address, false).contains("cripted"));
        for part in [ORGANISATION, SUPPORT, "ws://127.0.0.1:8080/v1/ws", "jat_demo-anna", PASSWORD] {
            assert!(text.contains(part), "{part}");
        }
    }
}
