//! The queue: an order and an admission policy over conversations. It is an index: rebuilt from what
//! conversations announce, and allowed to be stale for a moment. Only whether it was opened or closed
//! by hand is its own.

use std::sync::Arc;

use jono_points::{Rule, is_broken};
use serde::{Deserialize, Serialize};

use crate::account::{Audience, Author, Role, Who};
use crate::conversation::{self, Row, RowState, Start};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::limits::{PAGE_ROWS_MAX, PRIORITY_MAX, PRIORITY_MIN};
use crate::machine::{Context, Machine, Weight};
use crate::message::{Address, Effect, Order};
use crate::notice::{Notice, WorseReason};
use crate::organisation::Organisation;
use crate::reply::{QueueSummary, Refusal, Reply};
use crate::time::Time;

mod board;
#[cfg(test)]
mod tests;

pub use board::{Board, Place, PlacesRound};

/// Why a conversation asks to be admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Admission {
    /// A customer begins.
    Start(Box<Start>),
    /// It comes from another queue.
    Transfer {
        /// The claim under which it is moved.
        claim: Option<u64>,
        /// For the agents here.
        note: Option<String>,
    },
}

/// Where a page of the list of open conversations begins: behind this row.
pub type ListPlace = (RowState, Time, ConversationId);

/// A command. Those marked *internal* come from other machines only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// *Internal*: may it come in?
    Admit {
        /// Which conversation.
        conversation: ConversationId,
        /// Why.
        reason: Box<Admission>,
    },
    /// The asking agent takes the next customer.
    Pick {
        /// How many offers were taken by others meanwhile.
        missed: u8,
    },
    /// *Internal*: a conversation says how it stands.
    Announce {
        /// So.
        row: Arc<Row>,
    },
    /// *Internal*: as many conversations say it at a time, having come back together. They will say it again when somebody
    /// may have forgotten it.
    AnnounceAll {
        /// So.
        rows: Vec<Arc<Row>>,
    },
    /// Opens or closes by hand.
    SetOpen {
        /// Which.
        open: bool,
    },
    /// Open conversations, *New* first, in each group oldest message first.
    List {
        /// Where to begin.
        after: Option<ListPlace>,
        /// How many, at most [`PAGE_ROWS_MAX`].
        limit: usize,
    },
    /// The rows of these conversations, as far as they are here.
    RowsOf {
        /// Which.
        conversations: Vec<ConversationId>,
    },
    /// *Internal*: so many sessions follow.
    Followed {
        /// Of agents.
        agents: usize,
    },
    /// *Internal*: the organisation has changed its settings.
    AdoptSettings,
    /// Only asks for the numbers.
    Describe,
}

/// An event. Only opening and closing by hand outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Kept: an agent opened or closed it.
    OpenSet {
        /// Which.
        open: bool,
        /// By whom.
        by: Author,
    },
    /// Passing: room is kept for a conversation until it announces itself.
    Admitted(ConversationId, Time),
    /// Passing: a conversation was offered to an agent.
    Offered(ConversationId, AgentId, Time),
    /// Passing: a conversation said how it stands.
    Announced {
        /// So.
        row: Arc<Row>,
        /// It is in this queue, and has not ended.
        ours: bool,
        /// When.
        at: Time,
    },
    /// Passing: its conversations look at the settings again.
    SettingsChanged,
    /// Passing: so many agents' sessions follow.
    FollowersCounted(usize),
    /// Passing: another machine goes on with the request.
    Asked(Box<Order>),
    /// Passing: lists were pushed.
    Flushed(Vec<Notice>, Time),
    /// Passing: customers are told their places.
    PlacesTold(PlacesRound, Time),
    /// Passing: admissions that were never used, and offers that were never taken, are void.
    Lapsed(Time),
}

/// A customer's place as it is told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceTold {
    /// Whose conversation.
    pub conversation: ConversationId,
    /// 1-based.
    pub position: u32,
    /// Estimated.
    pub wait_ms: Option<u64>,
    /// Why it is worse.
    pub reason: Option<WorseReason>,
}

/// The state of one queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Queue {
    /// Opened or closed by hand; `None` is open.
    pub open_by_hand: Option<bool>,
    /// Rebuilt from announcements.
    #[serde(skip)]
    pub board: Board,
}

impl Queue {
    /// Does it take customers?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_by_hand.unwrap_or(true)
    }

    /// Its numbers.
    #[must_use]
    pub fn summary(&self, queue: QueueId) -> QueueSummary {
        self.board.summary(queue, self.is_open())
    }

    /// The organisation whose queue this is, if the credential is of it: others learn nothing (G11).
    fn organisation<'a>(id: QueueId, context: &Context<'a>) -> Result<&'a Organisation, Refusal> {
        let organisation =
            context.organisation.filter(|organisation| organisation.queue(id).is_some()).ok_or(Refusal::NotFound)?;
        match context.who {
            Who::Customer(of, _) | Who::Agent(of, _) if of != organisation.id => Err(Refusal::NotFound),
            Who::Customer(..) | Who::Agent(..) | Who::Root | Who::Engine => Ok(organisation),
        }
    }

    /// The asking agent, who may serve this queue.
    fn agent(id: QueueId, context: &Context<'_>) -> Result<AgentId, Refusal> {
        let organisation = Self::organisation(id, context)?;
        let Who::Agent(_, agent) = context.who else {
            return Err(Refusal::Forbidden);
        };
        let account = organisation.account(agent).ok_or(Refusal::NotFound)?;
        if account.role == Role::Operator || account.queues.contains(&id) { Ok(agent) } else { Err(Refusal::NotFound) }
    }

    fn admit_conversation(
        &self,
        id: QueueId,
        conversation: ConversationId,
        reason: &Admission,
        context: &Context<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let settings = &Self::organisation(id, context)?.queue(id).ok_or(Refusal::NotFound)?.settings;
        let known = self.board.holds(conversation);
        if !known && !self.is_open() {
            return Err(Refusal::QueueClosed { next_open_at: None });
        }
        if !known && settings.waiting_max.is_some_and(|max| self.board.waiting() >= max) {
            return Err(Refusal::QueueFull);
        }
        let command = match reason {
            Admission::Start(start) => {
                let priority = start.priority.clamp(PRIORITY_MIN, PRIORITY_MAX);
                let position = self.board.position_of_newcomer(priority);
                let wait_ms = self.board.wait_ms(position, context.now);
                conversation::Command::Start { start: start.clone(), queue: id, position, wait_ms }
            }
            Admission::Transfer { claim, note } => {
                conversation::Command::Transfer { claim: *claim, to: id, note: note.clone(), admitted: true }
            }
        };
        let ask = Event::Asked(Box::new(Order::Conversation(conversation, Box::new(command))));
        Ok(if known { vec![ask] } else { vec![Event::Admitted(conversation, context.now), ask] })
    }

    fn announced(&self, id: QueueId, row: &Arc<Row>, context: &Context<'_>) -> Option<Event> {
        let ours = row.queue == id && row.state != RowState::Closed;
        (!self.board.is_stale(row)).then(|| Event::Announced { row: Arc::clone(row), ours, at: context.now })
    }

    fn pick(&self, id: QueueId, missed: u8, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        let agent = Self::agent(id, context)?;
        let conversation = self.board.next_to_offer(context.now).ok_or(Refusal::QueueEmpty)?;
        let claim = conversation::Command::Claim { picked: Some((id, missed)) };
        Ok(vec![
            Event::Offered(conversation, agent, context.now),
            Event::Asked(Box::new(Order::Conversation(conversation, Box::new(claim)))),
        ])
    }
}

impl Machine for Queue {
    type Id = QueueId;
    type Command = Command;
    type Event = Event;

    fn decide(&self, id: QueueId, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Admit { conversation, reason } => self.admit_conversation(id, *conversation, reason, context)?,
            Command::Pick { missed } => self.pick(id, *missed, context)?,
            Command::Announce { row } => self.announced(id, row, context).into_iter().collect(),
            Command::AnnounceAll { rows } => rows.iter().filter_map(|row| self.announced(id, row, context)).collect(),
            Command::SetOpen { open } => {
                let by = Author::Agent(Self::agent(id, context)?);
                if *open == self.is_open() { Vec::new() } else { vec![Event::OpenSet { open: *open, by }] }
            }
            Command::List { .. } | Command::RowsOf { .. } => {
                Self::agent(id, context)?;
                Vec::new()
            }
            Command::AdoptSettings => vec![Event::SettingsChanged],
            Command::Followed { agents } => vec![Event::FollowersCounted(*agents)],
            Command::Describe => {
                Self::organisation(id, context)?;
                Vec::new()
            }
        })
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::OpenSet { open, .. } => self.open_by_hand = Some(*open),
            Event::Admitted(conversation, at) => self.board.keep_room(*conversation, *at),
            Event::Offered(conversation, _, at) => self.board.offer(*conversation, *at),
            Event::Announced { row, ours, at } => self.board.announce(row, *ours, *at),
            Event::FollowersCounted(agents) => self.board.count_followers(*agents),
            Event::Flushed(_, at) => self.board.flushed(*at),
            Event::PlacesTold(places, at) => self.board.told(places, *at),
            Event::Lapsed(at) => self.board.lapse(*at),
            Event::Asked(_) | Event::SettingsChanged => {}
        }
    }

    fn react(&self, id: QueueId, event: &Event) -> Vec<Effect> {
        match event {
            Event::OpenSet { .. } => vec![Effect::Publish(None, Notice::Queue(self.summary(id)))],
            Event::Asked(order) => vec![Effect::Forward((**order).clone())],
            Event::Flushed(notices, _) => notices.iter().map(|notice| Effect::Publish(None, notice.clone())).collect(),
            Event::PlacesTold(round, _) => round
                .places
                .iter()
                .map(|told| {
                    let place = conversation::Command::Place {
                        queue: id,
                        position: told.position,
                        wait_ms: told.wait_ms,
                        reason: told.reason,
                    };
                    Effect::Tell(Order::Conversation(told.conversation, Box::new(place)))
                })
                .collect(),
            Event::SettingsChanged => {
                let refresh = |id| Effect::Tell(Order::Conversation(id, Box::new(conversation::Command::Refresh)));
                self.board.conversations().map(refresh).chain([Effect::RecheckFollowers]).collect()
            }
            Event::Announced { .. }
            | Event::Admitted(..)
            | Event::Offered(..)
            | Event::FollowersCounted(_)
            | Event::Lapsed(_) => Vec::new(),
        }
    }

    fn answer(&self, id: QueueId, command: &Command, events: &[Event], _context: &Context<'_>) -> Option<Reply> {
        if events.iter().any(|event| matches!(event, Event::Asked(_))) {
            return None;
        }
        Some(match command {
            Command::Describe => Reply::Queue(self.summary(id)),
            Command::List { after, limit } => Reply::Rows(self.board.list(*after, (*limit).min(PAGE_ROWS_MAX))),
            Command::RowsOf { conversations } => Reply::Rows(self.board.rows_of(conversations)),
            Command::Admit { .. }
            | Command::Pick { .. }
            | Command::Announce { .. }
            | Command::AnnounceAll { .. }
            | Command::SetOpen { .. }
            | Command::Followed { .. }
            | Command::AdoptSettings => Reply::Done,
        })
    }

    fn next_deadline(&self) -> Option<Time> {
        self.board.next_deadline()
    }

    fn expire(&self, id: QueueId, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        if self.board.lapse_at().is_some_and(|at| at <= now) {
            events.push(Event::Lapsed(now));
        }
        if self.board.flush_at().is_some_and(|at| at <= now) {
            events.push(Event::Flushed(self.board.notices(id, self.is_open()), now));
        }
        if self.board.places_at().is_some_and(|at| at <= now) {
            events.push(Event::PlacesTold(self.board.places_to_tell(now), now));
        }
        events
    }

    fn weight(event: &Event) -> Weight {
        match event {
            Event::OpenSet { .. } => Weight::Kept,
            Event::Admitted(..)
            | Event::Offered(..)
            | Event::Announced { .. }
            | Event::SettingsChanged
            | Event::FollowersCounted(_)
            | Event::Asked(_)
            | Event::Flushed(..)
            | Event::PlacesTold(..)
            | Event::Lapsed(_) => Weight::Passing,
        }
    }

    fn recovered(&self, _id: QueueId, _context: &Context<'_>) -> (Vec<Event>, Vec<Effect>) {
        (Vec::new(), Vec::new())
    }

    fn announce(&self, id: QueueId) -> Vec<Effect> {
        // Rows are copies: a conversation whose owner died before it could tell its end is not brought back, and would be
        // listed for ever.
        let ask = conversation::Command::Announce { to: Address::Queue(id) };
        if is_broken(Rule::QueuesAskAgain) {
            return Vec::new();
        }
        self.board.conversations().map(|known| Effect::Tell(Order::Conversation(known, Box::new(ask.clone())))).collect()
    }

    fn admit(&self, id: QueueId, context: &Context<'_>) -> Result<Audience, Refusal> {
        Self::agent(id, context).map(|_| Audience::Agent)
    }

    fn describe(&self, id: QueueId, _audience: Audience, _context: &Context<'_>) -> Reply {
        Reply::Queue(self.summary(id))
    }

    fn followed(_customers: usize, agents: usize) -> Option<Command> {
        Some(Command::Followed { agents })
    }

    fn minds_followers(&self) -> bool {
        true
    }

    fn is_live(&self) -> bool {
        !self.board.is_empty()
    }
}
