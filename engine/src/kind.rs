//! The five machines as entities: their addresses, their place in the store, their shards.

use bytes::Bytes;
use jono_domain::Machine;
use jono_domain::agent::Agent;
use jono_domain::conversation::{self, Conversation};
use jono_domain::customer::Customer;
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::message::{Address, Effect, Order};
use jono_domain::notice::Notice;
use jono_domain::organisation::Organisation;
use jono_domain::queue::{self, Queue};
use jono_store::{EntityKey, ShardId};

/// A machine that the engine can run.
pub(crate) trait Kind: Machine<Id: Unpin> + Unpin {
    /// The first byte of its key in the store. Organisations come first: the others need their settings.
    const KIND: u8;

    fn address(id: Self::Id) -> Address;

    /// The command inside an order for this kind.
    fn command(order: Order) -> Option<Self::Command>;

    /// The command as an order again.
    fn order(id: Self::Id, command: Self::Command) -> Order;

    /// Where a request goes on that this entity cannot serve, being quarantined.
    fn detour(_order: &Order) -> Option<Order> {
        None
    }

    /// Where a request that was sent on before is sent when it is repeated.
    fn again(&self, order: Order) -> Order {
        order
    }

    /// A request has come back here on its way, but was sent on since then: it is an older letter of the same request.
    fn is_overtaken(_order: &Order, _sent_on: &Order) -> bool {
        false
    }

    /// The settings that every process should use, where the machine has them.
    fn settings(&self) -> Option<&Organisation> {
        None
    }

    /// Takes over from the state before it was read again what is stored nowhere, since others have told it. When a
    /// panic may have left that in pieces (it is not `sound`), whoever is in it is asked how things stand.
    fn keep(&mut self, _id: Self::Id, _before: Self, _sound: bool) -> Vec<Effect> {
        Vec::new()
    }
}

macro_rules! kind {
    ($machine:ty, $id:ty, $variant:ident, $kind:literal $(, $more:item)*) => {
        impl Kind for $machine {
            const KIND: u8 = $kind;

            fn address(id: $id) -> Address {
                Address::$variant(id)
            }

            fn command(order: Order) -> Option<Self::Command> {
                if let Order::$variant(_, command) = order { Some(*command) } else { None }
            }

            fn order(id: $id, command: Self::Command) -> Order {
                Order::$variant(id, Box::new(command))
            }

            $($more)*
        }
    };
}

kind!(
    Organisation,
    OrganisationId,
    Organisation,
    1,
    fn settings(&self) -> Option<&Organisation> {
        Some(self)
    },
    fn keep(&mut self, _id: OrganisationId, before: Self, _sound: bool) -> Vec<Effect> {
        // One entry for each agent: a panic does not leave that in pieces.
        self.board = before.board;
        Vec::new()
    }
);
kind!(
    Queue,
    QueueId,
    Queue,
    2,
    fn is_overtaken(order: &Order, sent_on: &Order) -> bool {
        match (order, sent_on) {
            (Order::Queue(_, pick), Order::Conversation(_, claim)) => match (&**pick, &**claim) {
                // Each miss is counted: what was missed before the last offer has been made good.
                (queue::Command::Pick { missed }, conversation::Command::Claim { picked: Some((_, offered)) }) => {
                    missed <= offered
                }
                _ => false,
            },
            _ => false,
        }
    },
    fn keep(&mut self, id: QueueId, before: Self, sound: bool) -> Vec<Effect> {
        if sound {
            self.board = before.board;
            return vec![Effect::Publish(None, Notice::Queue(self.summary(id)))];
        }
        before.announce(id)
    }
);
kind!(Agent, AgentId, Agent, 3);
kind!(
    Customer,
    CustomerId,
    Customer,
    4,
    fn again(&self, order: Order) -> Order {
        self.start_again(order)
    },
    fn keep(&mut self, _id: CustomerId, before: Self, _sound: bool) -> Vec<Effect> {
        self.starting = before.starting;
        Vec::new()
    }
);
kind!(
    Conversation,
    ConversationId,
    Conversation,
    5,
    fn detour(order: &Order) -> Option<Order> {
        if let Order::Conversation(_, command) = order { conversation::pick_elsewhere(command) } else { None }
    }
);

/// The key of an entity in the store: its kind and its id.
pub(crate) fn key_of(address: Address) -> EntityKey {
    let (kind, bits) = parts(address);
    let mut key = [0u8; 17];
    key[0] = kind;
    key[1..].copy_from_slice(&bits.to_be_bytes());
    EntityKey(Bytes::copy_from_slice(&key))
}

/// The entity behind a key, if this Jono knows the kind.
pub(crate) fn address_of(key: &EntityKey) -> Option<Address> {
    let (kind, id) = key.0.split_first()?;
    let bits = u128::from_be_bytes(id.try_into().ok()?);
    Some(match *kind {
        Organisation::KIND => Address::Organisation(OrganisationId::from_bits(bits)),
        Queue::KIND => Address::Queue(QueueId::from_bits(bits)),
        Agent::KIND => Address::Agent(AgentId::from_bits(bits)),
        Customer::KIND => Address::Customer(CustomerId::from_bits(bits)),
        Conversation::KIND => Address::Conversation(ConversationId::from_bits(bits)),
        _ => return None,
    })
}

/// The last key that an organisation can have: the other kinds come behind it.
pub(crate) fn last_organisation_key() -> EntityKey {
    key_of(Address::Organisation(OrganisationId::from_bits(u128::MAX)))
}

fn parts(address: Address) -> (u8, u128) {
    match address {
        Address::Organisation(id) => (Organisation::KIND, id.bits()),
        Address::Queue(id) => (Queue::KIND, id.bits()),
        Address::Agent(id) => (Agent::KIND, id.bits()),
        Address::Customer(id) => (Customer::KIND, id.bits()),
        Address::Conversation(id) => (Conversation::KIND, id.bits()),
    }
}

/// The shard of an entity: part of the stored data, so it never changes. Ids are random bits, but
/// not all: those of a demo are chosen, so the bits are mixed.
pub(crate) fn shard_of(address: Address, shards: u16) -> ShardId {
    let (kind, bits) = parts(address);
    let mut mixed = (bits as u64) ^ ((bits >> 64) as u64) ^ u64::from(kind);
    mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 32;
    ShardId((mixed % u64::from(shards)) as u16)
}
