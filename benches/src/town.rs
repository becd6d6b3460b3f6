//! An engine with many conversations, each of its own visitor, all in one queue.

use std::sync::Arc;

use futures_util::StreamExt;
use jono_domain::account::Who;
use jono_domain::id::{ConversationId, CustomerId};
use jono_domain::message::{Address, Order};
use jono_domain::organisation::Change;
use jono_domain::reply::Reply;
use jono_domain::time::Time;
use jono_domain::{conversation, customer, organisation, queue};
use jono_engine::clock::ManualClock;
use jono_engine::delivery::SessionRef;
use jono_engine::request::{Answer, Outcome};
use jono_engine::{Engine, EngineConfig};
use jono_store::Store;

use crate::listeners::{Listeners, follow};
use crate::scene::{AGENT, AS_AGENT, ORGANISATION, QUEUE, TEXT, account, queue_config, start};

/// Requests under way at a time.
pub const UNDER_WAY: usize = 256;

/// The engine and who listens to it. Its clock stands still, so that nothing falls due meanwhile.
pub struct Town {
    /// The engine.
    pub engine: Engine,
    /// Counts what sessions are told.
    pub listeners: Arc<Listeners>,
    /// The engine's clock.
    pub clock: Arc<ManualClock>,
    gateway: u64,
}

/// The conversation of this number.
#[must_use]
pub fn conversation(number: usize) -> ConversationId {
    ConversationId::from_bits(0x1000_0000 + number as u128)
}

/// Its visitor.
#[must_use]
pub fn visitor(number: usize) -> CustomerId {
    CustomerId::from_bits(0x2000_0000 + number as u128)
}

/// That visitor's credential.
#[must_use]
pub fn as_visitor(number: usize) -> Who {
    Who::Customer(ORGANISATION, visitor(number))
}

/// What that visitor writes.
#[must_use]
pub fn message(number: usize) -> Order {
    let send = conversation::Command::Send { claim: None, text: TEXT.into() };
    Order::Conversation(conversation(number), Box::new(send))
}

fn accepted(answer: Answer) -> Reply {
    match answer {
        Ok(Outcome::Reply(reply)) => reply,
        other => panic!("a bench asks for nothing that is refused: {other:?}"),
    }
}

impl Town {
    /// An engine over this store, with what is in it.
    ///
    /// # Panics
    /// When the store cannot be used: there is nothing to measure then.
    pub async fn open(store: Arc<dyn Store>) -> Self {
        let clock = ManualClock::at(Time(1_700_000_000_000));
        let config = EngineConfig { clock: clock.clone(), ..EngineConfig::default() };
        let engine = Engine::start(store, config).await.expect("the store is new, or was closed in order");
        let (listeners, gateway) = Listeners::attach(&engine);
        Self { engine, listeners, clock, gateway }
    }

    /// As [`Town::open`] over an empty store: with the organisation, its queue and its agent.
    pub async fn found(store: Arc<dyn Store>) -> Self {
        let town = Self::open(store).await;
        let queue = Change::PutQueue { queue: QUEUE, config: Some(queue_config()) };
        let agent = Change::PutAgent { agent: AGENT, account: Some(Box::new(account())) };
        for change in [Change::Create { organisation: ORGANISATION, name: "Acme".into() }, queue, agent] {
            let change = organisation::Command::Change(Box::new(change));
            town.ask(Who::Root, Order::Organisation(ORGANISATION, Box::new(change))).await;
        }
        town
    }

    /// Asks, and expects a yes.
    pub async fn ask(&self, who: Who, order: Order) -> Reply {
        accepted(self.engine.ask(who, None, order).await)
    }

    /// Conversations from one number up to another begin, and wait.
    pub async fn begin(&self, from: usize, to: usize) {
        let starts = (from..to).map(|number| {
            let (conversation, start) = (conversation(number), Box::new(start(visitor(number))));
            let start = customer::Command::Start { conversation, queue: QUEUE, start };
            self.ask(as_visitor(number), Order::Customer(visitor(number), Box::new(start)))
        });
        futures_util::stream::iter(starts).buffer_unordered(UNDER_WAY).for_each(async |_| ()).await;
    }

    /// How many wait in the queue, as it says.
    pub async fn waiting(&self) -> u32 {
        match self.ask(AS_AGENT, Order::Queue(QUEUE, Box::new(queue::Command::Describe))).await {
            Reply::Queue(summary) => summary.waiting,
            other => panic!("a queue describes itself: {other:?}"),
        }
    }

    /// A session of this number follows, and has what it missed.
    pub async fn follow(&self, session: u64, who: Who, what: Address) {
        let answered = self.listeners.told().answers;
        let session = SessionRef { gateway: self.gateway, session };
        self.engine.follow(follow(session, who, what)).expect("there is room for one more");
        self.listeners.until(|told| told.answers > answered).await;
    }

    /// The agent serves the first conversations, at most as many as one agent may hold; visitor and agent follow each.
    pub async fn serve(&self, conversations: usize) {
        for number in 0..conversations {
            let claim = conversation::Command::Claim { picked: None };
            self.ask(AS_AGENT, Order::Conversation(conversation(number), Box::new(claim))).await;
            let what = Address::Conversation(conversation(number));
            self.follow(2 * number as u64, as_visitor(number), what).await;
            self.follow(2 * number as u64 + 1, AS_AGENT, what).await;
        }
    }

    /// So many messages in the first conversations, one after another in each, many at a time.
    pub async fn write(&self, messages: u64, conversations: usize) {
        let sends = (0..messages).map(|place| {
            let number = place as usize % conversations;
            self.ask(as_visitor(number), message(number))
        });
        futures_util::stream::iter(sends).buffer_unordered(conversations.min(UNDER_WAY)).for_each(async |_| ()).await;
    }
}
