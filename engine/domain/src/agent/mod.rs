//! The agent's session with the engine: presence, what the agent holds, personal canned messages.
//! One per account, however many connections it has. What is held is a copy of what conversations say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Audience, Who};
use crate::conversation;
use crate::id::{AgentId, ConversationId, OrganisationId, QueueId};
use crate::limits::HELD_PER_AGENT_MAX;
use crate::machine::{Context, Machine, Weight};
use crate::message::{Address, Effect, Order};
use crate::notice::Notice;
use crate::organisation;
use crate::reply::{AgentView, CannedMessage, Refusal, Reply};
use crate::text::{check_canned, check_word};
use crate::time::{MINUTE_MS, Time};

#[cfg(test)]
mod tests;

/// Presence (SPEC section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Serves; may be assigned to.
    Online,
    /// Connected, but not to be assigned to.
    Away,
    /// Not there.
    #[default]
    Offline,
}

/// Why presence changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresenceCause {
    /// The agent said so.
    Chosen,
    /// The first connection opened.
    Connected,
    /// The last connection closed.
    #[default]
    Disconnected,
    /// The last connection closed long ago.
    TimedOut,
}

/// Whose a canned message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CannedScope {
    /// The agent's own.
    Personal,
    /// The organisation's.
    Shared,
}

/// A command. Those marked *internal* come from other machines only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The agent chooses.
    SetStatus {
        /// What.
        status: Status,
    },
    /// *Internal*: a conversation asks whether it can be given to this agent.
    AcceptHandover {
        /// Which.
        conversation: ConversationId,
        /// The claim under which it is moved.
        claim: Option<u64>,
    },
    /// *Internal*: a conversation says whether this agent holds it, and in which queue it is.
    Hold {
        /// Which.
        conversation: ConversationId,
        /// `None` when it is not held (any longer).
        held: Option<QueueId>,
    },
    /// Sets (`Some`) or removes a personal canned message.
    SetCanned {
        /// What is typed behind `/`.
        keyword: String,
        /// What it becomes.
        text: Option<String>,
    },
    /// *Internal*: so many sessions follow.
    Followed {
        /// Of this agent.
        agents: usize,
    },
    /// Only asks for the state.
    Describe,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Kept: presence is now this.
    StatusChanged(Status, PresenceCause, Time),
    /// Kept: connected (`None`), or not since then.
    Disconnected(Option<Time>),
    /// Kept: whose agent this is, and how long presence outlives the last connection.
    SettingsAdopted(OrganisationId, u64),
    /// Kept: holds a conversation of that queue, or no longer.
    Held(ConversationId, Option<QueueId>),
    /// Kept: a personal canned message is now this.
    CannedSet(String, Option<String>),
    /// Passing: another machine goes on with the request.
    Asked(Box<Order>),
}

/// The state of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Whose agent, once known.
    pub organisation: Option<OrganisationId>,
    /// Presence.
    pub status: Status,
    /// Why.
    pub cause: PresenceCause,
    /// Since when.
    pub since: Time,
    /// Since when no session is connected; `None` while one is.
    pub disconnected_since: Option<Time>,
    /// How long presence outlives the last connection.
    pub offline_after_ms: u64,
    /// Conversations held, with their queues.
    pub held: BTreeMap<ConversationId, QueueId>,
    /// Personal canned messages.
    pub canned: BTreeMap<String, String>,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            organisation: None,
            status: Status::Offline,
            cause: PresenceCause::Disconnected,
            since: Time(0),
            disconnected_since: Some(Time(0)),
            offline_after_ms: 15 * MINUTE_MS,
            held: BTreeMap::new(),
            canned: BTreeMap::new(),
        }
    }
}

impl Agent {
    /// The account behind this state, if the credential may act for it.
    fn own(id: AgentId, context: &Context<'_>) -> Result<(), Refusal> {
        match context.who {
            Who::Agent(of, agent) if agent == id && context.settings_of(of).is_some_and(|own| own.account(id).is_some()) => {
                Ok(())
            }
            Who::Engine => Ok(()),
            Who::Agent(..) | Who::Customer(..) | Who::Root => Err(Refusal::NotFound),
        }
    }

    fn accept(
        &self,
        id: AgentId,
        conversation: ConversationId,
        claim: Option<u64>,
        context: &Context<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        if context.organisation.and_then(|organisation| organisation.account(id)).is_none() {
            return Err(Refusal::NotFound);
        }
        if self.status != Status::Online {
            return Err(Refusal::NoAgents);
        }
        if !self.held.contains_key(&conversation) && self.held.len() >= HELD_PER_AGENT_MAX {
            return Err(Refusal::conflict("the agent holds as many conversations as one can"));
        }
        let assign = conversation::Command::Assign { claim, to: id, accepted: true };
        Ok(vec![Event::Asked(Box::new(Order::Conversation(conversation, Box::new(assign))))])
    }

    fn set_canned(&self, keyword: &str, text: Option<&str>) -> Result<Vec<Event>, Refusal> {
        match text {
            Some(text) => check_canned(&self.canned, keyword, text)?,
            None => check_word(keyword, "keyword")?,
        }
        if self.canned.get(keyword).map(String::as_str) == text {
            return Ok(Vec::new());
        }
        Ok(vec![Event::CannedSet(keyword.to_owned(), text.map(str::to_owned))])
    }

    fn followed(&self, agents: usize, context: &Context<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        match (agents > 0, self.disconnected_since) {
            (true, Some(_)) => {
                events.push(Event::Disconnected(None));
                // Connecting makes online, except for those who chose otherwise.
                if self.status == Status::Offline && self.cause != PresenceCause::Chosen {
                    events.push(Event::StatusChanged(Status::Online, PresenceCause::Connected, context.now));
                }
            }
            (false, None) => events.push(Event::Disconnected(Some(context.now))),
            _ => {}
        }
        events
    }

    fn canned_messages(&self) -> Vec<CannedMessage> {
        let canned = self.canned.iter();
        canned
            .map(|(keyword, text)| CannedMessage { keyword: keyword.clone(), text: text.clone(), scope: CannedScope::Personal })
            .collect()
    }

    fn presence_told(&self, id: AgentId) -> Option<Effect> {
        let presence = organisation::Presence {
            status: self.status,
            connected: self.disconnected_since.is_none(),
            since: self.since,
            cause: self.cause,
        };
        let command = organisation::Command::AnnouncePresence { agent: id, presence };
        Some(Effect::Tell(Order::Organisation(self.organisation?, Box::new(command))))
    }

    /// What is held is a copy: a claim whose end was not heard of is asked for.
    fn held_asked(&self, id: AgentId) -> impl Iterator<Item = Effect> {
        let ask = conversation::Command::Announce { to: Address::Agent(id) };
        self.held.keys().map(move |held| Effect::Tell(Order::Conversation(*held, Box::new(ask.clone()))))
    }

    fn adopt_settings(&self, context: &Context<'_>) -> Option<Event> {
        let organisation = context.organisation?;
        let now = (Some(organisation.id), organisation.settings.offline_after_ms);
        (now != (self.organisation, self.offline_after_ms)).then_some(Event::SettingsAdopted(organisation.id, now.1))
    }
}

impl Machine for Agent {
    type Id = AgentId;
    type Command = Command;
    type Event = Event;

    fn decide(&self, id: AgentId, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        let mut events: Vec<Event> = self.adopt_settings(context).into_iter().collect();
        events.extend(match command {
            Command::SetStatus { status } => {
                Self::own(id, context)?;
                let chosen = Event::StatusChanged(*status, PresenceCause::Chosen, context.now);
                if (self.status, self.cause) == (*status, PresenceCause::Chosen) { Vec::new() } else { vec![chosen] }
            }
            Command::AcceptHandover { conversation, claim } => self.accept(id, *conversation, *claim, context)?,
            Command::Hold { conversation, held } if self.held.get(conversation) == held.as_ref() => Vec::new(),
            Command::Hold { conversation, held } => vec![Event::Held(*conversation, *held)],
            Command::SetCanned { keyword, text } => {
                Self::own(id, context)?;
                self.set_canned(keyword, text.as_deref())?
            }
            Command::Followed { agents } => self.followed(*agents, context),
            Command::Describe => {
                Self::own(id, context)?;
                Vec::new()
            }
        });
        Ok(events)
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::StatusChanged(status, cause, at) => {
                self.status = *status;
                self.cause = *cause;
                self.since = *at;
            }
            Event::Disconnected(since) => self.disconnected_since = *since,
            Event::SettingsAdopted(organisation, offline_after_ms) => {
                self.organisation = Some(*organisation);
                self.offline_after_ms = *offline_after_ms;
            }
            Event::Held(conversation, Some(queue)) => {
                self.held.insert(*conversation, *queue);
            }
            Event::Held(conversation, None) => {
                self.held.remove(conversation);
            }
            Event::CannedSet(keyword, Some(text)) => {
                self.canned.insert(keyword.clone(), text.clone());
            }
            Event::CannedSet(keyword, None) => {
                self.canned.remove(keyword);
            }
            Event::Asked(_) => {}
        }
    }

    fn react(&self, id: AgentId, event: &Event) -> Vec<Effect> {
        match event {
            Event::StatusChanged(..) | Event::Disconnected(_) => self.presence_told(id).into_iter().collect(),
            Event::Held(conversation, Some(_)) => vec![Effect::FollowConversation(*conversation)],
            Event::CannedSet(..) => vec![Effect::Publish(None, Notice::Canned(self.canned_messages()))],
            Event::Asked(order) => vec![Effect::Forward((**order).clone())],
            Event::Held(_, None) | Event::SettingsAdopted(..) => Vec::new(),
        }
    }

    fn answer(&self, id: AgentId, command: &Command, events: &[Event], context: &Context<'_>) -> Option<Reply> {
        if events.iter().any(|event| matches!(event, Event::Asked(_))) {
            return None;
        }
        Some(match command {
            Command::Describe => self.describe(id, Audience::Agent, context),
            Command::SetStatus { .. }
            | Command::AcceptHandover { .. }
            | Command::Hold { .. }
            | Command::SetCanned { .. }
            | Command::Followed { .. } => Reply::Done,
        })
    }

    fn next_deadline(&self) -> Option<Time> {
        match self.status {
            // Who chose to be online without a connection has as long from then on.
            Status::Online | Status::Away => self.disconnected_since.map(|at| at.max(self.since) + self.offline_after_ms),
            Status::Offline => None,
        }
    }

    fn expire(&self, _id: AgentId, now: Time) -> Vec<Event> {
        let due = self.next_deadline().is_some_and(|at| at <= now);
        if due { vec![Event::StatusChanged(Status::Offline, PresenceCause::TimedOut, now)] } else { Vec::new() }
    }

    fn weight(event: &Event) -> Weight {
        match event {
            Event::Asked(_) => Weight::Passing,
            Event::StatusChanged(..)
            | Event::Disconnected(_)
            | Event::SettingsAdopted(..)
            | Event::Held(..)
            | Event::CannedSet(..) => Weight::Kept,
        }
    }

    fn recovered(&self, id: AgentId, context: &Context<'_>) -> (Vec<Event>, Vec<Effect>) {
        let mut events: Vec<Event> = self.adopt_settings(context).into_iter().collect();
        if self.disconnected_since.is_none() {
            events.push(Event::Disconnected(Some(context.now)));
        }
        let mut after = self.clone();
        events.iter().for_each(|event| after.evolve(event));
        // Who was never there has not gone.
        let announced = after.presence_told(id).filter(|_| self.organisation.is_some());
        (events, announced.into_iter().chain(self.held_asked(id)).collect())
    }

    fn announce(&self, id: AgentId) -> Vec<Effect> {
        self.presence_told(id).into_iter().chain(self.held_asked(id)).collect()
    }

    fn admit(&self, id: AgentId, context: &Context<'_>) -> Result<Audience, Refusal> {
        Self::own(id, context).map(|()| Audience::Agent)
    }

    fn describe(&self, id: AgentId, _audience: Audience, _context: &Context<'_>) -> Reply {
        Reply::Agent(Box::new(AgentView {
            agent: id,
            status: self.status,
            held: self.held.iter().map(|(conversation, queue)| (*conversation, *queue)).collect(),
            canned: self.canned_messages(),
        }))
    }

    fn followed(_customers: usize, agents: usize) -> Option<Command> {
        Some(Command::Followed { agents })
    }

    fn minds_followers(&self) -> bool {
        true
    }

    fn is_live(&self) -> bool {
        self.status != Status::Offline || !self.held.is_empty()
    }
}
