//! What entities were told that need not be there to hear it: it is told them when something else needs them, before that, or
//! when there is time. So a start need not load everybody who is told something by everybody who comes back.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use jono_domain::message::{Address, Order};
use jono_domain::{conversation, customer};
use tokio::sync::Notify;

use crate::delivery::Moved;
use crate::host::Host;
use crate::kind::shard_of;
use crate::limits::{LATER_AFTER_MS, LATER_PER_ROUND, LATER_ROUND_MS};

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Later {
    orders: RefCell<HashMap<Address, Vec<Order>>>,
    /// Those whose store has to hear of it, however long nothing else needs them.
    line: RefCell<VecDeque<Address>>,
    has_some: Notify,
}

impl Later {
    pub(crate) fn put(&self, order: Order) {
        let address = order.address();
        let mut orders = self.orders.borrow_mut();
        let waiting = orders.entry(address).or_insert_with(|| {
            if matches!(address, Address::Customer(_)) {
                self.line.borrow_mut().push_back(address);
                self.has_some.notify_one();
            }
            Vec::with_capacity(1)
        });
        waiting.retain(|before| !is_same(before, &order));
        waiting.push(order);
    }

    pub(crate) fn holds(&self, address: Address) -> bool {
        self.orders.borrow().contains_key(&address)
    }

    pub(crate) fn take(&self, address: Address) -> Vec<Order> {
        self.orders.borrow_mut().remove(&address).unwrap_or_default()
    }

    /// Others serve these: they are told anew.
    pub(crate) fn leave(&self, moved: &Moved) {
        self.orders.borrow_mut().retain(|address, _| !moved.holds(*address));
    }

    fn next(&self) -> Option<Address> {
        self.line.borrow_mut().pop_front()
    }
}

/// The newer one says all that the other said.
fn is_same(before: &Order, after: &Order) -> bool {
    match (before, after) {
        (Order::Conversation(..), Order::Conversation(..)) => true,
        (Order::Customer(_, before), Order::Customer(_, after)) => match (&**before, &**after) {
            (
                customer::Command::Announce { conversation: before, .. },
                customer::Command::Announce { conversation: after, .. },
            ) => before == after,
            _ => false,
        },
        _ => false,
    }
}

impl Host {
    /// Nothing changes for anybody when the entity hears of it later.
    pub(crate) fn may_wait(&self, order: &Order) -> bool {
        match order {
            // A conversation that is open says so again after every start, until it ends and says that. Sessions that follow
            // their customer are led there by it.
            Order::Customer(_, command) => {
                matches!(**command, customer::Command::Announce { open: true, .. })
                    && self.known_followers(order.address()).is_none()
            }
            // A place in the queue is for those who follow.
            Order::Conversation(_, command) => {
                matches!(**command, conversation::Command::Place { .. }) && self.asleep.holds(order.address())
            }
            Order::Organisation(..) | Order::Queue(..) | Order::Agent(..) => false,
        }
    }

    /// Tells what waits, a little at a time.
    pub(crate) async fn tell_later(self: Rc<Self>) {
        loop {
            self.later.has_some.notified().await;
            self.clock.sleep_until(self.clock.now() + LATER_AFTER_MS).await;
            loop {
                let mut some = std::iter::from_fn(|| self.later.next()).filter(|address| self.later.holds(*address)).peekable();
                if some.peek().is_none() {
                    break;
                }
                for address in some.take(LATER_PER_ROUND) {
                    if self.owns(shard_of(address, self.shard_count)) {
                        self.rouse(address);
                    } else {
                        self.later.take(address);
                    }
                }
                self.clock.sleep_until(self.clock.now() + LATER_ROUND_MS).await;
            }
        }
    }
}
