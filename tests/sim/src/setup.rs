//! Two organisations, with queues, sites, agents and operators, made as a root user makes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::message::Order;
use jono_domain::organisation::{self, Account, Change, Policy, QueueConfig, QueueSettings, Site, Token};
use jono_domain::time::Time;
use jono_engine::Engine;
use jono_gateway::auth::Auth;

use crate::client::{Client, Kind};
use crate::plan::Plan;
use crate::world::World;

/// Each organisation has so many queues.
const QUEUES: u128 = 2;

fn queue(organisation: usize, number: u128) -> QueueId {
    QueueId::from_bits(1_000 * (organisation as u128 + 1) + number)
}

fn site(organisation: usize) -> String {
    format!("site{organisation}")
}

/// Who there is in an organisation: agents, then the operator.
fn agents_of(plan: &Plan, organisation: usize) -> Vec<(AgentId, String, Role)> {
    let working = if organisation == 0 { plan.agents } else { 1 };
    (0..=working)
        .map(|number| {
            let id = AgentId::from_bits(100 * (organisation as u128 + 1) + number as u128);
            let role = if number == working { Role::Operator } else { Role::Agent };
            (id, format!("jat_{organisation}_{number}"), role)
        })
        .collect()
}

/// The order in which an organisation comes to be.
fn changes(plan: &Plan, organisation: usize) -> Vec<Change> {
    let id = OrganisationId::from_bits(organisation as u128 + 1);
    let mut changes = vec![Change::Create { organisation: id, name: format!("Organisation {organisation}") }];
    let policy = Policy {
        release_after_ms: plan.rules.release_after_ms,
        close_after_ms: plan.rules.close_after_ms,
        warn_before_ms: plan.rules.release_after_ms / 4,
        ..Policy::default()
    };
    for number in 0..QUEUES {
        let settings = QueueSettings { policy, ..QueueSettings::default() };
        let config = QueueConfig { name: format!("Queue {number}"), settings };
        changes.push(Change::PutQueue { queue: queue(organisation, number), config: Some(config) });
    }
    let config = Site { key: site(organisation), name: "Site".into(), origins: Vec::new(), queues: None };
    changes.push(Change::PutSite { site: SiteId::from_bits(organisation as u128 + 1), config: Some(config) });
    for (agent, token, role) in agents_of(plan, organisation) {
        let account = Account {
            name: token.clone(),
            kind: AccountKind::Person,
            role,
            queues: (0..QUEUES).map(|number| queue(organisation, number)).collect(),
            login: None,
            password_hash: None,
            tokens: std::collections::BTreeMap::new(),
            disabled: false,
        };
        changes.push(Change::PutAgent { agent, account: Some(Box::new(account)) });
        let token = Token { hash: Auth::agent_token_hash(&token), label: "simulated".into(), created_at: Time(0) };
        changes.push(Change::PutToken { agent, token_id: TokenId::from_bits(agent.bits()), token: Some(token) });
    }
    changes
}

/// Makes the organisations through that engine; says when it is done.
pub async fn make_organisations(engine: Engine, plan: Plan, done: Arc<AtomicBool>) {
    for organisation in 0..2 {
        let id = OrganisationId::from_bits(organisation as u128 + 1);
        for (number, change) in changes(&plan, organisation).into_iter().enumerate() {
            let key = format!("setup-{organisation}-{number}");
            loop {
                let command = organisation::Command::Change(Box::new(change.clone()));
                let order = Order::Organisation(id, Box::new(command));
                match engine.ask(Who::Root, Some(key.clone()), order).await {
                    Ok(_) => break,
                    Err(_) => engine.clock().rest(100).await,
                }
            }
        }
    }
    done.store(true, Ordering::Relaxed);
}

/// Everybody comes: the clients, operators last.
pub fn admit_everybody(world: &mut World) {
    let plan = world.plan.clone();
    let mut clients = Vec::new();
    for organisation in 0..2 {
        world.queues.push((0..QUEUES).map(|number| queue(organisation, number).to_string()).collect());
        let customers = if organisation == 0 { plan.customers } else { 1 };
        clients.extend((0..customers).map(|_| (organisation, Kind::Customer { site: site(organisation) })));
        for (_, token, role) in agents_of(&plan, organisation) {
            clients.push((organisation, Kind::Agent { token, is_operator: role == Role::Operator }));
        }
    }
    for (number, (organisation, kind)) in clients.into_iter().enumerate() {
        world.admit(Client::new(number, organisation, kind, plan.seed));
    }
}
