//! Owns the sockets of one worker: their slots, the delivery of what they are told, the heartbeat
//! wheel and the drain. Calls sockets directly, without a hop through mailboxes: a heartbeat costs
//! 13 bytes a socket this way, and 128 with an interval for every actor.

use crate::{
    id::{SLOTS_MAX, SocketId, next_generation},
    limits::{DRAINED_AT_ONCE_MAX, TOLD_AT_ONCE_MAX, WHEEL_SLOTS},
    stats::bump,
    switchboard::{Order, Switchboard, Taken},
    worker::{Due, Worker},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
};
use tokio::{
    task::{unconstrained, yield_now},
    time::{MissedTickBehavior, interval},
};

/// A socket as its hub sees it.
pub(crate) trait Member<M> {
    fn tell(&self, message: M);
    fn write(&self);
    fn visit(&self, now_ms: u64);
    fn expire(&self, due: Due);
    fn close(&self, code: u16, reason: &'static str);
    fn overrun(&self);
    fn reset(&self);
    /// Marks for one write; says whether it was not marked before.
    fn mark(&self) -> bool;
}

/// A slot's socket, and how often the slot was used before.
struct Slot<M> {
    generation: u32,
    member: Option<Rc<dyn Member<M>>>,
}

struct Slots<M> {
    all: Vec<Slot<M>>,
    /// Reused oldest first, so that generations last.
    free: VecDeque<u32>,
}

pub(crate) struct Hub<M> {
    pub(crate) worker: Rc<Worker>,
    slots: RefCell<Slots<M>>,
    order: Cell<Order>,
}

impl<M: Send + 'static> Hub<M> {
    /// The hub of the worker whose thread this is, with its two tasks.
    pub(crate) fn start(worker: Worker, switchboard: Switchboard<M>) -> Rc<Self> {
        worker.read_clock();
        let hub = Rc::new(Self {
            worker: Rc::new(worker),
            slots: RefCell::new(Slots { all: Vec::new(), free: VecDeque::new() }),
            order: Cell::new(Order::Serve),
        });
        // Without a budget: a write refused for lack of it would look like a peer that is behind.
        actix_rt::spawn(unconstrained(deliver(Rc::clone(&hub), switchboard)));
        actix_rt::spawn(unconstrained(turn_wheel(Rc::clone(&hub))));
        hub
    }

    /// Names the next socket; it is known once `enter`ed. None when the worker has no slot left.
    pub(crate) fn reserve(&self) -> Option<SocketId> {
        let mut slots = self.slots.borrow_mut();
        let at = match slots.free.pop_front() {
            Some(at) => at as usize,
            None if slots.all.len() < SLOTS_MAX => {
                slots.all.push(Slot { generation: 0, member: None });
                slots.all.len() - 1
            }
            None => return None,
        };
        let generation = slots.all[at].generation;
        Some(SocketId::new(self.worker.index, at as u32, generation))
    }

    pub(crate) fn enter(&self, id: SocketId, member: Rc<dyn Member<M>>) {
        self.slots.borrow_mut().all[id.slot()].member = Some(Rc::clone(&member));
        self.worker.arm(Due::Open, id);
        match self.order.get() {
            Order::Serve => {}
            Order::Drain | Order::Abort => member.close(1012, "server going"),
        }
    }

    /// Forgets the socket: its name is stale from here on.
    pub(crate) fn leave(&self, id: SocketId) {
        let left = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots.all[id.slot()];
            assert_eq!(slot.generation, id.generation(), "a socket leaves once");
            slot.generation = next_generation(slot.generation);
            let left = slot.member.take();
            slots.free.push_back(id.slot() as u32);
            left
        };
        drop(left); // Not while the slots are borrowed.
    }

    fn member(&self, id: SocketId) -> Option<Rc<dyn Member<M>>> {
        let slots = self.slots.borrow();
        let slot = slots.all.get(id.slot())?;
        let current = id.worker() == usize::from(self.worker.index) && slot.generation == id.generation();
        slot.member.as_ref().filter(|_| current).map(Rc::clone)
    }

    fn member_at(&self, at: usize) -> Option<Rc<dyn Member<M>>> {
        let slots = self.slots.borrow();
        slots.all.get(at)?.member.as_ref().map(Rc::clone)
    }

    fn slots(&self) -> usize {
        self.slots.borrow().all.len()
    }

    /// One step of the wheel: every 32nd slot from `first` on.
    fn visit(&self, first: usize, now_ms: u64) {
        for at in (first..self.slots()).step_by(WHEEL_SLOTS) {
            if let Some(member) = self.member_at(at) {
                member.visit(now_ms);
            }
        }
    }

    async fn tell_all(&self, taken: Taken<M>) -> Vec<(SocketId, M)> {
        let Taken { mut messages, overrun } = taken;
        let counts = self.worker.counts();
        let mut touched = Vec::new();
        let mut in_turn = 0;
        for (id, message) in messages.drain(..) {
            match self.member(id) {
                Some(member) => {
                    bump(&counts.told, 1);
                    member.tell(message);
                    if member.mark() {
                        touched.push(member);
                    }
                }
                None => bump(&counts.told_stale, 1),
            }
            in_turn += 1;
            if in_turn == TOLD_AT_ONCE_MAX {
                in_turn = 0;
                write_each(&mut touched);
                yield_now().await;
            }
        }
        write_each(&mut touched);
        for id in overrun {
            if let Some(member) = self.member(id) {
                member.overrun();
            }
        }
        messages
    }

    async fn obey(&self, order: Order) {
        self.order.set(order);
        for at in 0..self.slots() {
            if let Some(member) = self.member_at(at) {
                match order {
                    Order::Serve => {}
                    Order::Drain => member.close(1012, "server going"),
                    Order::Abort => member.reset(),
                }
            }
            if at % DRAINED_AT_ONCE_MAX == DRAINED_AT_ONCE_MAX - 1 {
                yield_now().await;
            }
        }
    }
}

fn write_each<M>(touched: &mut Vec<Rc<dyn Member<M>>>) {
    for member in touched.drain(..) {
        member.write();
    }
}

/// Messages kept room for in a quiet inbox.
const KEPT_ROOM: usize = 4096;

/// Takes what other threads have sent, as long as the worker lives.
async fn deliver<M: Send + 'static>(hub: Rc<Hub<M>>, switchboard: Switchboard<M>) {
    let port = switchboard.port(usize::from(hub.worker.index));
    let mut room = Vec::new();
    loop {
        let (taken, order) = poll_fn(|cx| port.poll_take(cx.waker(), hub.order.get(), &mut room)).await;
        room = hub.tell_all(taken).await;
        if room.capacity() > KEPT_ROOM {
            room = Vec::new();
        }
        if order > hub.order.get() {
            hub.obey(order).await;
        }
    }
}

/// Heartbeats and deadlines of all the worker's sockets, from one interval.
async fn turn_wheel<M: Send + 'static>(hub: Rc<Hub<M>>) {
    let mut steps = interval(hub.worker.limits.tick());
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for step in 0_usize.. {
        steps.tick().await;
        let now_ms = hub.worker.read_clock();
        while let Some((due, id)) = hub.worker.next_due(now_ms) {
            if let Some(member) = hub.member(id) {
                member.expire(due);
            }
        }
        hub.visit(step % WHEEL_SLOTS, now_ms);
    }
}
