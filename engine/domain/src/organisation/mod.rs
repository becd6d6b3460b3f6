//! The organisation: the tenant's settings, sites, queues, accounts, tags and shared canned messages,
//! and the board of who is there. Every other machine reads a copy of it through its context.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::account::{AccountKind, Audience, Role, Who};
use crate::agent::{CannedScope, PresenceCause, Status};
use crate::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use crate::machine::{Context, Machine, Weight};
use crate::message::{Effect, Order};
use crate::notice::Notice;
use crate::queue;
use crate::reply::{CannedMessage, Refusal, Reply};
use crate::time::Time;

mod change;
mod settings;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use settings::{OrganisationSettings, Policy, QueueSettings, ReleaseClock};

/// One embed of the widget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Public: what the page names. Unique over all organisations.
    pub key: String,
    /// For operators.
    pub name: String,
    /// Origins that may open sockets for it, such as `https://shop.example`; empty is any.
    pub origins: Vec<String>,
    /// Queues that its visitors can choose, in order; `None` is every queue.
    pub queues: Option<Vec<QueueId>>,
}

/// One queue as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueConfig {
    /// Shown to visitors and agents.
    pub name: String,
    /// Its rules.
    pub settings: QueueSettings,
}

/// A credential of an agent. The secret itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// For operators.
    pub label: String,
    /// When it was made.
    pub created_at: Time,
}

/// An agent's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Shown to customers and colleagues.
    pub name: String,
    /// Person or bot.
    pub kind: AccountKind,
    /// Agent or operator.
    pub role: Role,
    /// Queues it serves.
    pub queues: BTreeSet<QueueId>,
    /// What it signs in with at the desk; unique in the organisation.
    pub login: Option<String>,
    /// Argon2 hash, in PHC string form.
    pub password_hash: Option<String>,
    /// Its credentials.
    pub tokens: BTreeMap<TokenId, Token>,
    /// May not sign in.
    pub disabled: bool,
}

/// A tag that agents can set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagDefinition {
    /// Tags are listed in groups.
    pub group: Option<String>,
    /// CSS colour such as `#1a7f37`.
    pub colour: Option<String>,
}

/// An agent on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Presence now.
    pub status: Status,
    /// Is a session connected?
    pub connected: bool,
    /// Since when the status is this.
    pub since: Time,
    /// Why.
    pub cause: PresenceCause,
}

/// A command. Those marked *internal* come from other machines only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Changes the settings.
    Change(Box<Change>),
    /// *Internal*: an agent says how they are.
    AnnouncePresence {
        /// Who.
        agent: AgentId,
        /// So.
        presence: Presence,
    },
    /// Who is there.
    ListPresence,
    /// Only asks whether it exists.
    Describe,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Kept: the settings changed.
    Changed(Box<Change>),
    /// Passing: an agent is so.
    PresenceAnnounced(AgentId, Presence),
}

/// The state of one organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// It exists.
    pub created: bool,
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: OrganisationSettings,
    /// Its sites.
    pub sites: BTreeMap<SiteId, Site>,
    /// Its queues.
    pub queues: BTreeMap<QueueId, QueueConfig>,
    /// Its agents.
    pub accounts: BTreeMap<AgentId, Account>,
    /// Its tags, by name.
    pub tags: BTreeMap<String, TagDefinition>,
    /// Its canned messages, by keyword.
    pub canned: BTreeMap<String, String>,
    /// Who is there; rebuilt from what agents announce.
    #[serde(skip)]
    pub board: BTreeMap<AgentId, Presence>,
}

impl Default for Organisation {
    fn default() -> Self {
        Self {
            id: OrganisationId::from_bits(0),
            created: false,
            name: String::new(),
            settings: OrganisationSettings::default(),
            sites: BTreeMap::new(),
            queues: BTreeMap::new(),
            accounts: BTreeMap::new(),
            tags: BTreeMap::new(),
            canned: BTreeMap::new(),
            board: BTreeMap::new(),
        }
    }
}

impl Organisation {
    /// A queue of this organisation.
    #[must_use]
    pub fn queue(&self, id: QueueId) -> Option<&QueueConfig> {
        self.queues.get(&id)
    }

    /// An agent of this organisation who may work.
    #[must_use]
    pub fn account(&self, id: AgentId) -> Option<&Account> {
        self.accounts.get(&id).filter(|account| !account.disabled)
    }

    /// The shared canned messages.
    #[must_use]
    pub fn canned_messages(&self) -> Vec<CannedMessage> {
        let canned = self.canned.iter();
        canned
            .map(|(keyword, text)| CannedMessage { keyword: keyword.clone(), text: text.clone(), scope: CannedScope::Shared })
            .collect()
    }

    fn is_operator(&self, id: OrganisationId, who: Who) -> bool {
        match who {
            Who::Root | Who::Engine => true,
            Who::Agent(organisation, agent) => {
                organisation == id && self.account(agent).is_some_and(|account| account.role == Role::Operator)
            }
            Who::Customer(..) => false,
        }
    }

    fn is_member(&self, id: OrganisationId, who: Who) -> bool {
        match who {
            Who::Root | Who::Engine => true,
            Who::Agent(organisation, agent) => organisation == id && self.account(agent).is_some(),
            Who::Customer(..) => false,
        }
    }
}

impl Machine for Organisation {
    type Id = OrganisationId;
    type Command = Command;
    type Event = Event;

    fn decide(&self, id: OrganisationId, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Change(change) => {
                if !self.created && (context.who != Who::Root || !matches!(**change, Change::Create { .. })) {
                    return Err(Refusal::NotFound);
                }
                if !self.is_operator(id, context.who) {
                    // Members learn that they may not; others, that there is nothing.
                    return Err(if self.is_member(id, context.who) { Refusal::Forbidden } else { Refusal::NotFound });
                }
                if self.created && matches!(**change, Change::Create { .. }) && context.who != Who::Root {
                    return Err(Refusal::Forbidden);
                }
                let changes = change::check(self, id, change)?;
                Ok(if changes { vec![Event::Changed(change.clone())] } else { Vec::new() })
            }
            Command::AnnouncePresence { agent, presence } => {
                let known = self.account(*agent).is_some() && self.board.get(agent) != Some(presence);
                Ok(if known { vec![Event::PresenceAnnounced(*agent, *presence)] } else { Vec::new() })
            }
            Command::ListPresence | Command::Describe => {
                if self.created && self.is_member(id, context.who) {
                    Ok(Vec::new())
                } else {
                    Err(Refusal::NotFound)
                }
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Changed(change) => change::apply(self, change),
            Event::PresenceAnnounced(agent, presence) => {
                self.board.insert(*agent, *presence);
            }
        }
    }

    fn react(&self, _id: OrganisationId, event: &Event) -> Vec<Effect> {
        match event {
            Event::Changed(change) => {
                let mut effects = vec![Effect::PublishOrganisation, Effect::Publish(None, Notice::OrganisationChanged)];
                if let Change::PutAgent { .. } = **change {
                    effects.push(Effect::RecheckFollowers);
                }
                if let Change::PutQueue { queue, .. } = **change {
                    effects.push(Effect::Tell(Order::Queue(queue, Box::new(queue::Command::AdoptSettings))));
                }
                effects
            }
            Event::PresenceAnnounced(agent, presence) => {
                vec![Effect::Publish(None, Notice::Presence { agent: *agent, presence: *presence })]
            }
        }
    }

    fn answer(&self, _id: OrganisationId, command: &Command, _events: &[Event], _context: &Context<'_>) -> Option<Reply> {
        Some(match command {
            Command::ListPresence => Reply::Presence(self.board.iter().map(|(agent, presence)| (*agent, *presence)).collect()),
            Command::Change(_) | Command::AnnouncePresence { .. } | Command::Describe => Reply::Done,
        })
    }

    fn next_deadline(&self) -> Option<Time> {
        None
    }

    fn expire(&self, _id: OrganisationId, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    fn weight(event: &Event) -> Weight {
        match event {
            Event::Changed(_) => Weight::Kept,
            Event::PresenceAnnounced(..) => Weight::Passing,
        }
    }

    fn recovered(&self, _id: OrganisationId, _context: &Context<'_>) -> (Vec<Event>, Vec<Effect>) {
        (Vec::new(), if self.created { vec![Effect::PublishOrganisation] } else { Vec::new() })
    }

    fn admit(&self, id: OrganisationId, context: &Context<'_>) -> Result<Audience, Refusal> {
        if self.created && self.is_member(id, context.who) { Ok(Audience::Agent) } else { Err(Refusal::NotFound) }
    }

    fn describe(&self, _id: OrganisationId, _audience: Audience, _context: &Context<'_>) -> Reply {
        Reply::Presence(self.board.iter().map(|(agent, presence)| (*agent, *presence)).collect())
    }

    fn organisation(&self) -> Option<OrganisationId> {
        self.created.then_some(self.id)
    }

    fn is_live(&self) -> bool {
        self.created
    }
}
