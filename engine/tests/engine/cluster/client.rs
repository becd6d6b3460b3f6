//! A client with its session, as a gateway keeps one: it follows again what moves, reads what it missed, repeats under its key
//! what was not available, and notes everything it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use jono_domain::account::{Audience, Who};
use jono_domain::conversation::Entry;
use jono_domain::id::ConversationId;
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::reply::{Refusal, Reply};
use jono_engine::Engine;
use jono_engine::delivery::{Deliver, Delivery, Moved, SessionRef};
use jono_engine::request::{Answer, Follow, Outcome, Query, ReplyTo, Request};

use super::kit::Process;

/// What a session hears.
#[derive(Clone, Debug)]
enum Heard {
    Delivery(Delivery),
    Moved(Moved),
    Reset,
}

/// A gateway: keeps what comes for whoever looks.
#[derive(Default)]
pub struct Desk {
    number: OnceLock<u64>,
    heard: Mutex<BTreeMap<u64, VecDeque<Heard>>>,
    sessions: AtomicU64,
    pub resets: AtomicU64,
}

impl Desk {
    pub fn attach(engine: &Engine) -> Arc<Self> {
        let desk = Arc::new(Self::default());
        desk.number.set(engine.attach_gateway(desk.clone())).expect("attached once");
        desk
    }

    fn tell_all(&self, heard: &Heard) {
        self.heard.lock().expect("nothing panics").values_mut().for_each(|session| session.push_back(heard.clone()));
    }

    fn open(&self) -> SessionRef {
        let session = self.sessions.fetch_add(1, Ordering::SeqCst) + 1;
        self.heard.lock().expect("nothing panics").insert(session, VecDeque::new());
        SessionRef { gateway: *self.number.get().expect("attached"), session }
    }

    fn close(&self, session: SessionRef) {
        self.heard.lock().expect("nothing panics").remove(&session.session);
    }

    fn next(&self, session: SessionRef) -> Option<Heard> {
        self.heard.lock().expect("nothing panics").get_mut(&session.session)?.pop_front()
    }
}

impl Deliver for Desk {
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let mut heard = self.heard.lock().expect("nothing panics");
        for (session, delivery) in batch {
            if let Some(session) = heard.get_mut(&session.session) {
                session.push_back(Heard::Delivery(delivery));
            }
        }
    }

    fn moved(&self, moved: &Moved) {
        self.tell_all(&Heard::Moved(moved.clone()));
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
        self.tell_all(&Heard::Reset);
    }
}

/// Why something was asked.
#[derive(Clone, Debug)]
enum Purpose {
    /// The person wants an answer to this ticket.
    Said {
        ticket: u64,
        order: Order,
    },
    Follow(Address),
    /// To read what was missed.
    Read(ConversationId),
}

pub struct Client {
    pub process: usize,
    pub who: Who,
    own: Address,
    /// Its keys begin with this, however often it begins anew.
    name: String,
    session: SessionRef,
    last_request: u64,
    last_ticket: u64,
    asked: BTreeMap<u64, Purpose>,
    answers: BTreeMap<u64, Answer>,
    /// What follows is not there (any more): to be asked for.
    anew: Vec<Address>,
    again: Vec<(u64, Order)>,
    is_there: bool,
    tracked: BTreeSet<ConversationId>,
    reading: BTreeSet<ConversationId>,
    /// Other things that it follows.
    pub followed: BTreeSet<Address>,
    /// What it was sent, without what came twice.
    pub events: BTreeMap<ConversationId, Vec<Entry>>,
    pub notices: Vec<Notice>,
    /// The last states that answers to follow gave.
    pub states: BTreeMap<Address, Reply>,
    /// Requests that had to be repeated.
    pub repeated: u64,
    /// How often it had to begin anew.
    pub resets: u64,
    /// How often it was led to a conversation.
    pub led: u64,
}

impl Client {
    pub fn connect(process: &Process, number: usize, who: Who, own: Address) -> Self {
        let session = process.desk.open();
        Self {
            process: number,
            who,
            own,
            name: format!("{number}-{}", session.session),
            session,
            last_request: 0,
            last_ticket: 0,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            anew: vec![own],
            again: Vec::new(),
            is_there: false,
            tracked: BTreeSet::new(),
            reading: BTreeSet::new(),
            followed: BTreeSet::new(),
            events: BTreeMap::new(),
            notices: Vec::new(),
            states: BTreeMap::new(),
            repeated: 0,
            resets: 0,
            led: 0,
        }
    }

    pub fn is_there(&self) -> bool {
        self.is_there
    }

    pub fn tracks(&self, conversation: ConversationId) -> bool {
        self.tracked.contains(&conversation)
    }

    pub fn audience(&self) -> Audience {
        if matches!(self.who, Who::Customer(..)) { Audience::Customer } else { Audience::Agent }
    }

    /// The person wants to follow this too.
    pub fn follow(&mut self, what: Address) {
        self.states.remove(&what);
        match what {
            Address::Conversation(conversation) => drop(self.tracked.insert(conversation)),
            _ => drop(self.followed.insert(what)),
        }
        self.anew.push(what);
    }

    /// The socket is closed.
    pub fn disconnect(&mut self, process: &Process) {
        let all = self.tracked.iter().map(|it| Address::Conversation(*it)).chain(self.followed.iter().copied()).chain([self.own]);
        all.for_each(|what| process.engine.unfollow(self.session, what));
        process.desk.close(self.session);
    }

    /// Asks without waiting; the ticket is for the answer.
    pub fn say(&mut self, processes: &[Process], order: Order) -> u64 {
        self.last_ticket += 1;
        self.send(&processes[self.process], self.last_ticket, order);
        self.last_ticket
    }

    fn send(&mut self, process: &Process, ticket: u64, order: Order) {
        let key = Some(format!("{}-{ticket}", self.name));
        let (request, reply_to) = self.request();
        if process.engine.send(Request { who: self.who, key, order: order.clone(), reply_to }).is_ok() {
            self.asked.insert(request, Purpose::Said { ticket, order });
        } else {
            self.again.push((ticket, order));
        }
    }

    pub fn has_answer(&self, ticket: u64) -> bool {
        self.answers.contains_key(&ticket)
    }

    pub fn take_answer(&mut self, ticket: u64) -> Option<Answer> {
        self.answers.remove(&ticket)
    }

    fn request(&mut self) -> (u64, ReplyTo) {
        self.last_request += 1;
        (self.last_request, ReplyTo::Session { session: self.session, request: self.last_request })
    }

    pub fn last(&self, conversation: ConversationId) -> u64 {
        self.events.get(&conversation).and_then(|events| events.last()).map_or(0, |entry| entry.seq)
    }

    /// Takes what has come, and asks for what is missing; says whether anything has come.
    pub fn react(&mut self, process: &Process) -> bool {
        let mut has_heard = false;
        while let Some(heard) = process.desk.next(self.session) {
            has_heard = true;
            match heard {
                Heard::Delivery(Delivery::Answer { request, answer }) => self.answered(process, request, answer),
                Heard::Delivery(Delivery::Notice(notice)) => self.told(process, &notice.value),
                Heard::Delivery(Delivery::Following { conversation, state, .. }) => {
                    self.led += 1;
                    self.tracked.insert(conversation);
                    self.reach(process, conversation, &state);
                }
                Heard::Delivery(Delivery::Unfollowed(conversation)) => drop(self.tracked.remove(&conversation)),
                Heard::Moved(moved) => {
                    let all = self.tracked.iter().map(|it| Address::Conversation(*it)).chain(self.followed.iter().copied());
                    let meant: Vec<Address> = all.chain([self.own]).filter(|what| moved.holds(*what)).collect();
                    self.anew.extend(meant);
                }
                Heard::Reset => {
                    self.resets += 1;
                    self.disconnect(process);
                    self.session = process.desk.open();
                    // What was not answered is said again.
                    for purpose in std::mem::take(&mut self.asked).into_values() {
                        if let Purpose::Said { ticket, order } = purpose {
                            self.again.push((ticket, order));
                        }
                    }
                    self.reading.clear();
                    self.tracked.clear();
                    self.is_there = false;
                    self.anew = self.followed.iter().copied().chain([self.own]).collect();
                }
            }
        }
        let mut anew = std::mem::take(&mut self.anew);
        anew.sort();
        anew.dedup();
        for what in anew {
            self.ask_to_follow(process, what);
        }
        for (ticket, order) in std::mem::take(&mut self.again) {
            self.send(process, ticket, order);
        }
        has_heard
    }

    fn ask_to_follow(&mut self, process: &Process, what: Address) {
        let after = match what {
            Address::Conversation(conversation) if !self.tracked.contains(&conversation) => return,
            Address::Conversation(conversation) => self.last(conversation),
            _ => 0,
        };
        let (request, reply_to) = self.request();
        let follow = Follow { session: self.session, who: self.who, what, after, bytes_max: 1 << 20, is_new: false, reply_to };
        if process.engine.follow(follow).is_ok() {
            self.asked.insert(request, Purpose::Follow(what));
        } else {
            self.anew.push(what);
        }
    }

    fn answered(&mut self, process: &Process, request: u64, answer: Answer) {
        let purpose = self.asked.remove(&request).unwrap_or_else(|| panic!("{request} of {:?} is answered twice", self.who));
        match (purpose, answer) {
            (Purpose::Said { ticket, order }, Err(Refusal::Unavailable { .. } | Refusal::Busy { .. })) => {
                self.repeated += 1;
                self.again.push((ticket, order));
            }
            (Purpose::Said { ticket, .. }, answer) => drop(self.answers.insert(ticket, answer)),
            (Purpose::Follow(what), Ok(Outcome::Following { state, .. })) => self.follows(process, what, state),
            (Purpose::Follow(what), Err(Refusal::Unavailable { .. } | Refusal::Busy { .. })) => self.anew.push(what),
            (Purpose::Follow(Address::Conversation(conversation)), Err(_)) => drop(self.tracked.remove(&conversation)),
            (Purpose::Follow(what), other) => panic!("{what:?}: {other:?}"),
            (Purpose::Read(conversation), answer) => {
                self.reading.remove(&conversation);
                match answer {
                    Ok(Outcome::History { entries, head }) => {
                        for entry in entries {
                            self.take(conversation, &entry);
                        }
                        if self.last(conversation) < head {
                            self.read(process, conversation);
                        }
                    }
                    Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => self.read(process, conversation),
                    Err(_) => drop(self.tracked.remove(&conversation)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn follows(&mut self, process: &Process, what: Address, state: Reply) {
        self.is_there |= what == self.own;
        let known = |conversation: &ConversationId| self.tracked.contains(conversation);
        match (&what, &state) {
            (Address::Conversation(conversation), state) => self.reach(process, *conversation, state),
            (_, Reply::Customer(view)) => {
                let unknown: Vec<_> = view.open.iter().copied().filter(|it| !known(it)).collect();
                unknown.into_iter().for_each(|it| self.follow(Address::Conversation(it)));
            }
            (_, Reply::Agent(view)) => {
                let unknown: Vec<_> = view.held.iter().map(|(it, _)| *it).filter(|it| !known(it)).collect();
                unknown.into_iter().for_each(|it| self.follow(Address::Conversation(it)));
            }
            _ => {}
        }
        self.states.insert(what, state);
    }

    /// So far the conversation has come; what the client does not have by then it reads.
    fn reach(&mut self, process: &Process, conversation: ConversationId, state: &Reply) {
        let Reply::Conversation(view) = state else { panic!("{state:?}") };
        if self.last(conversation) < view.head {
            self.read(process, conversation);
        }
    }

    fn read(&mut self, process: &Process, conversation: ConversationId) {
        if !self.reading.insert(conversation) {
            return;
        }
        let query = Query::History { conversation, forward: true, from: self.last(conversation), limit: 100 };
        let (request, reply_to) = self.request();
        match process.engine.query(self.who, query, reply_to) {
            Ok(()) => drop(self.asked.insert(request, Purpose::Read(conversation))),
            Err(_) => drop(self.reading.remove(&conversation)),
        }
    }

    fn told(&mut self, process: &Process, notice: &Notice) {
        if let Notice::Entry { conversation, entry, .. } = notice {
            if !self.tracked.contains(conversation) {
                return;
            }
            let last = self.last(*conversation);
            if entry.seq > last && entry.prev_for(self.audience()) > last {
                return self.read(process, *conversation);
            }
            return self.take(*conversation, entry);
        }
        self.notices.push(notice.clone());
    }

    fn take(&mut self, conversation: ConversationId, entry: &Entry) {
        if entry.seq > self.last(conversation) {
            self.events.entry(conversation).or_default().push(entry.clone());
        }
    }
}
