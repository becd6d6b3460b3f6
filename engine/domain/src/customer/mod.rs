//! The customer: which conversations they may still reach, and whether they are blocked.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::account::{Audience, Author, Who};
use crate::conversation::{self, Start};
use crate::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use crate::limits::{ADMISSION_MS, ENDED_PER_CUSTOMER_MAX, OPEN_PER_CUSTOMER_MAX};
use crate::machine::{Context, Machine, Weight};
use crate::message::{Address, Effect, Order};
use crate::notice::Notice;
use crate::queue;
use crate::reply::{CustomerView, Refusal, Reply};
use crate::time::Time;

#[cfg(test)]
mod tests;

/// A command. Those marked *internal* come from other machines only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The customer wants to begin.
    Start {
        /// The id that the conversation will have.
        conversation: ConversationId,
        /// Where.
        queue: QueueId,
        /// With what.
        start: Box<Start>,
    },
    /// *Internal*: a conversation says that it is open, or over.
    Announce {
        /// Whose customer this is.
        organisation: OrganisationId,
        /// Which.
        conversation: ConversationId,
        /// Not ended.
        open: bool,
    },
    /// *Internal*: a conversation has checked the agent's right to block.
    Block {
        /// For how long; `None` is for ever.
        duration_ms: Option<u64>,
        /// By whom.
        by: AgentId,
    },
    /// *Internal*: a conversation has checked the agent's right to unblock.
    Unblock {
        /// By whom.
        by: AgentId,
    },
    /// Only asks for the state.
    Describe,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Kept: whose customer this is.
    Known(OrganisationId),
    /// Kept: a conversation is open, or over.
    Announced(ConversationId, bool),
    /// Kept: blocked until then, or for ever.
    Blocked(Option<Time>, Author),
    /// Kept: may write again.
    Unblocked(Author),
    /// Passing: a conversation is on its way to a queue.
    Starting(ConversationId, Time),
    /// Passing: another machine goes on with the request.
    Asked(Box<Order>),
}

/// The state of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Whose customer, once known.
    pub organisation: Option<OrganisationId>,
    /// Conversations that have not ended.
    pub open: BTreeSet<ConversationId>,
    /// The last ones that have, newest last.
    pub ended: VecDeque<ConversationId>,
    /// Blocked until then; `Some(None)` is for ever.
    pub blocked: Option<Option<Time>>,
    /// On their way to a queue, and since when.
    #[serde(skip)]
    pub starting: Vec<(ConversationId, Time)>,
}

impl Customer {
    /// Where a start goes that was sent to a queue before: if it arrived, its conversation answers, whatever the
    /// queue would say now.
    #[must_use]
    pub fn start_again(&self, order: Order) -> Order {
        let Order::Queue(queue, command) = &order else { return order };
        let queue::Command::Admit { conversation, reason } = &**command else { return order };
        let queue::Admission::Start(start) = &**reason else { return order };
        if !self.open.contains(conversation) && !self.ended.contains(conversation) {
            return order;
        }
        let again = conversation::Command::Start { start: start.clone(), queue: *queue, position: 0, wait_ms: None };
        Order::Conversation(*conversation, Box::new(again))
    }

    fn blocked_at(&self, now: Time) -> Option<Option<Time>> {
        self.blocked.filter(|until| until.is_none_or(|until| until > now))
    }

    fn own(&self, id: CustomerId, context: &Context<'_>) -> Result<OrganisationId, Refusal> {
        match context.who {
            Who::Customer(organisation, customer)
                if customer == id && self.organisation.is_none_or(|known| known == organisation) =>
            {
                Ok(organisation)
            }
            Who::Customer(..) | Who::Agent(..) | Who::Root | Who::Engine => Err(Refusal::NotFound),
        }
    }

    fn start(
        &self,
        id: CustomerId,
        conversation: ConversationId,
        queue: QueueId,
        start: &Start,
        context: &Context<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let organisation = self.own(id, context)?;
        let start = Start { organisation, customer: id, ..start.clone() };
        if self.open.contains(&conversation) || self.ended.contains(&conversation) {
            // The same start again: the conversation itself answers.
            let again = conversation::Command::Start { start: Box::new(start), queue, position: 0, wait_ms: None };
            return Ok(vec![Event::Asked(Box::new(Order::Conversation(conversation, Box::new(again))))]);
        }
        if let Some(until) = self.blocked_at(context.now) {
            return Err(Refusal::Blocked { until });
        }
        let starting = self.starting.iter().filter(|(other, at)| *other != conversation && *at + ADMISSION_MS > context.now);
        if self.open.len() + starting.count() >= OPEN_PER_CUSTOMER_MAX {
            return Err(Refusal::conflict("as many conversations are open as one customer may have"));
        }
        start.check()?;
        let reason = queue::Admission::Start(Box::new(start));
        let ask = queue::Command::Admit { conversation, reason: Box::new(reason) };
        Ok(vec![Event::Starting(conversation, context.now), Event::Asked(Box::new(Order::Queue(queue, Box::new(ask))))])
    }

    fn tell_conversations(&self, by: Author) -> impl Iterator<Item = Effect> {
        let command = conversation::Command::CustomerBlocked { blocked: self.blocked, by };
        self.open.iter().map(move |id| Effect::Tell(Order::Conversation(*id, Box::new(command.clone()))))
    }

    fn is_open_known(&self, conversation: ConversationId, open: bool) -> bool {
        if open {
            self.open.contains(&conversation)
        } else {
            self.ended.contains(&conversation) && !self.open.contains(&conversation)
        }
    }
}

impl Machine for Customer {
    type Id = CustomerId;
    type Command = Command;
    type Event = Event;

    fn decide(&self, id: CustomerId, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Start { conversation, queue, start } => self.start(id, *conversation, *queue, start, context)?,
            Command::Announce { conversation, open, .. } if self.is_open_known(*conversation, *open) => Vec::new(),
            Command::Announce { organisation, conversation, open } => {
                let known = self.organisation.is_none().then_some(Event::Known(*organisation));
                known.into_iter().chain([Event::Announced(*conversation, *open)]).collect()
            }
            Command::Block { duration_ms, by } => {
                vec![Event::Blocked(duration_ms.map(|duration_ms| context.now + duration_ms), Author::Agent(*by))]
            }
            Command::Unblock { by } if self.blocked.is_some() => vec![Event::Unblocked(Author::Agent(*by))],
            Command::Unblock { .. } => Vec::new(),
            Command::Describe => self.own(id, context).map(|_| Vec::new())?,
        })
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Known(organisation) => self.organisation = Some(*organisation),
            Event::Announced(conversation, true) => {
                self.starting.retain(|(starting, _)| starting != conversation);
                self.ended.retain(|ended| ended != conversation);
                self.open.insert(*conversation);
            }
            Event::Announced(conversation, false) => {
                self.open.remove(conversation);
                self.ended.retain(|ended| ended != conversation);
                self.ended.push_back(*conversation);
                if self.ended.len() > ENDED_PER_CUSTOMER_MAX {
                    self.ended.pop_front();
                }
            }
            Event::Blocked(until, _) => self.blocked = Some(*until),
            Event::Unblocked(_) => self.blocked = None,
            Event::Starting(conversation, at) => {
                self.starting.retain(|(starting, since)| starting != conversation && *since + ADMISSION_MS > *at);
                self.starting.push((*conversation, *at));
            }
            Event::Asked(_) => {}
        }
    }

    fn react(&self, _id: CustomerId, event: &Event) -> Vec<Effect> {
        match event {
            Event::Announced(conversation, true) => {
                let follow = Effect::FollowConversation(*conversation);
                // A conversation that was on its way while its customer was blocked has not heard of it.
                let blocked =
                    self.blocked.map(|_| conversation::Command::CustomerBlocked { blocked: self.blocked, by: Author::System });
                let tell = blocked.map(|command| Effect::Tell(Order::Conversation(*conversation, Box::new(command))));
                [follow].into_iter().chain(tell).collect()
            }
            Event::Blocked(_, by) | Event::Unblocked(by) => {
                [Effect::Publish(None, Notice::Blocked(self.blocked))].into_iter().chain(self.tell_conversations(*by)).collect()
            }
            Event::Asked(order) => vec![Effect::Forward((**order).clone())],
            Event::Known(_) | Event::Announced(_, false) | Event::Starting(..) => Vec::new(),
        }
    }

    fn answer(&self, id: CustomerId, command: &Command, events: &[Event], context: &Context<'_>) -> Option<Reply> {
        if events.iter().any(|event| matches!(event, Event::Asked(_))) {
            return None;
        }
        Some(match command {
            Command::Describe => self.describe(id, Audience::Customer, context),
            Command::Start { .. } | Command::Announce { .. } | Command::Block { .. } | Command::Unblock { .. } => Reply::Done,
        })
    }

    fn next_deadline(&self) -> Option<Time> {
        self.blocked.flatten()
    }

    fn expire(&self, _id: CustomerId, now: Time) -> Vec<Event> {
        let due = self.next_deadline().is_some_and(|until| until <= now);
        if due { vec![Event::Unblocked(Author::System)] } else { Vec::new() }
    }

    fn weight(event: &Event) -> Weight {
        match event {
            Event::Known(_) | Event::Announced(..) | Event::Blocked(..) | Event::Unblocked(_) => Weight::Kept,
            Event::Starting(..) | Event::Asked(_) => Weight::Passing,
        }
    }

    fn recovered(&self, id: CustomerId, _context: &Context<'_>) -> (Vec<Event>, Vec<Effect>) {
        (Vec::new(), self.announce(id))
    }

    fn announce(&self, id: CustomerId) -> Vec<Effect> {
        // What is kept here is a copy: an end that was not heard of must not count as open for ever.
        // What conversations know of a block is a copy too.
        let ask = conversation::Command::Announce { to: Address::Customer(id) };
        let ask = |open: &ConversationId| Effect::Tell(Order::Conversation(*open, Box::new(ask.clone())));
        self.tell_conversations(Author::System).chain(self.open.iter().map(ask)).collect()
    }

    fn admit(&self, id: CustomerId, context: &Context<'_>) -> Result<Audience, Refusal> {
        self.own(id, context).map(|_| Audience::Customer)
    }

    fn describe(&self, id: CustomerId, _audience: Audience, context: &Context<'_>) -> Reply {
        Reply::Customer(CustomerView {
            customer: id,
            open: self.open.iter().copied().collect(),
            ended: self.ended.iter().copied().collect(),
            blocked: self.blocked_at(context.now),
        })
    }

    fn organisation(&self) -> Option<OrganisationId> {
        self.organisation
    }

    fn is_live(&self) -> bool {
        self.blocked.flatten().is_some()
    }
}
