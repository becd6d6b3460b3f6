//! What a session was shown of a conversation, written down as it came. Records, judges nothing.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::Notify;

use crate::client::{Event, Notification, Observer, Opened};

/// One entry of the record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// The session begins to follow: events after that number come next.
    Joined {
        from_seq: u64,
        /// What the session said that it has, if it said so.
        since: Option<u64>,
    },
    /// An event, live or sent again on resuming.
    Shown(Event),
    /// A gap that was announced, read from the history.
    Filled(Vec<Event>),
    /// The session no longer follows.
    Left,
}

/// The record of one session and one conversation.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub items: Vec<Item>,
    /// Number of the last event, or of the one after which events were to come.
    pub last: u64,
    pub following: bool,
    /// Announced gaps that are still being read.
    pub filling: usize,
    arrivals: Vec<(u64, Instant)>,
    changed: Rc<Notify>,
}

impl View {
    #[cfg(test)]
    pub fn of(items: Vec<Item>) -> Self {
        Self { items, following: true, ..Self::default() }
    }

    /// When the first event with this number or a later one came.
    pub fn reached_at(&self, seq: u64) -> Option<Instant> {
        // Nearly always the last or the one before it.
        let arrivals = self.arrivals.iter().rev().take_while(|(arrived, _)| *arrived >= seq);
        arrivals.last().map(|(_, at)| *at)
    }

    pub fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// Events as they were shown.
    pub fn shown(&self) -> impl Iterator<Item = &Event> {
        self.items.iter().filter_map(|item| match item {
            Item::Shown(event) => Some(event),
            Item::Joined { .. } | Item::Filled(_) | Item::Left => None,
        })
    }

    fn joined(&mut self, from_seq: u64, since: Option<u64>) -> Option<Gap> {
        let gap = (from_seq > self.last).then_some((self.last, from_seq));
        self.items.push(Item::Joined { from_seq, since });
        let gap = gap.map(|(after, upto)| {
            self.items.push(Item::Filled(Vec::new()));
            self.filling += 1;
            Gap { after, upto, item: self.items.len() - 1 }
        });
        self.last = from_seq;
        self.following = true;
        self.changed.notify_waiters();
        gap
    }

    fn shown_now(&mut self, event: Event) {
        self.arrivals.push((event.seq, Instant::now()));
        self.last = self.last.max(event.seq);
        self.items.push(Item::Shown(event));
        self.changed.notify_waiters();
    }

    /// What the history says about an announced gap.
    pub fn fill(&mut self, gap: &Gap, mut events: Vec<Event>) {
        events.retain(|event| event.seq > gap.after && event.seq <= gap.upto);
        self.items[gap.item] = Item::Filled(events);
        self.filling -= 1;
        self.changed.notify_waiters();
    }
}

/// Events between two numbers that the server said it would not send.
#[derive(Debug)]
pub(crate) struct Gap {
    pub after: u64,
    /// This one included.
    pub upto: u64,
    item: usize,
}

/// Something that was seen to be wrong while recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remark {
    pub conversation: String,
    pub check: &'static str,
    pub expected: String,
    pub got: String,
}

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Customer,
    Agent,
}

/// Conversations that a session names when it resumes: what servers accept.
const SINCE_MAX: usize = 256;
/// Fields of a conversation that are not for customers.
const AGENTS_FIELDS: [&str; 6] = ["tags", "metadata", "preview", "priority", "unread", "customer"];

/// Everything that one session was shown.
#[derive(Debug)]
pub(crate) struct Recorder {
    side: Side,
    views: HashMap<String, View>,
    /// Conversations that were judged: nothing may come any more.
    judged: HashSet<String>,
    log: Option<String>,
    /// For customers: the only conversation that they may hear of, once known.
    own: Option<String>,
    pub remarks: Vec<Remark>,
    /// Gaps that somebody should fill: conversation and gap.
    pub gaps: Vec<(String, Gap)>,
    pub gap_noted: Rc<Notify>,
    pub events: u64,
}

impl Recorder {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            views: HashMap::new(),
            judged: HashSet::new(),
            log: None,
            own: None,
            remarks: Vec::new(),
            gaps: Vec::new(),
            gap_noted: Rc::default(),
            events: 0,
        }
    }

    pub fn view(&mut self, conversation: &str) -> &mut View {
        self.views.entry(conversation.to_owned()).or_default()
    }

    pub fn get(&self, conversation: &str) -> Option<&View> {
        self.views.get(conversation)
    }

    /// From now on nothing of others may come; what came already is looked at.
    pub fn set_own(&mut self, conversation: &str) {
        let others: Vec<String> = self.views.keys().filter(|other| *other != conversation).cloned().collect();
        for other in others {
            self.remark(&other, "foreign", "only its own conversation", "a view of this one");
        }
        self.own = Some(conversation.to_owned());
    }

    /// The record, for judgement; whatever comes afterwards is remarked upon.
    pub fn take(&mut self, conversation: &str) -> Option<View> {
        let view = self.views.remove(conversation)?;
        self.judged.insert(conversation.to_owned());
        Some(view)
    }

    fn remark(&mut self, conversation: &str, check: &'static str, expected: impl Into<String>, got: impl Into<String>) {
        // One of a kind and conversation says enough.
        if !self.remarks.iter().any(|remark| remark.check == check && remark.conversation == conversation) {
            self.remarks.push(Remark {
                conversation: conversation.to_owned(),
                check,
                expected: expected.into(),
                got: got.into(),
            });
        }
    }

    fn joined(&mut self, conversation: &Value, since: Option<u64>) {
        let id = conversation.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.side == Side::Customer {
            self.check_customers_fields(&id, conversation);
        }
        if self.judged.contains(&id) {
            return;
        }
        let from_seq = conversation.get("from_seq").and_then(Value::as_u64).unwrap_or_default();
        if let Some(gap) = self.view(&id).joined(from_seq, since) {
            self.gaps.push((id, gap));
            self.gap_noted.notify_one();
        }
    }

    fn check_customers_fields(&mut self, id: &str, conversation: &Value) {
        if self.own.as_ref().is_some_and(|own| own != id) {
            self.remark(id, "foreign", "only its own conversation", "another customer's");
        }
        if let Some(field) = AGENTS_FIELDS.iter().find(|field| conversation.get(**field).is_some()) {
            self.remark(id, "visibility", "fields for customers", format!("a conversation with {field:?}"));
        }
    }

    fn event(&mut self, event: Event) {
        self.events += 1;
        let id = event.conversation.clone();
        if self.own.as_ref().is_some_and(|own| *own != id) {
            self.remark(&id, "foreign", "only its own conversation", format!("event {} of another customer's", event.seq));
        }
        if self.judged.contains(&id) {
            self.remark(&id, "late", "nothing after everything was seen", format!("event {} ({})", event.seq, event.kind));
            return;
        }
        self.view(&id).shown_now(event);
    }
}

impl Observer for Recorder {
    fn since(&mut self) -> Vec<(String, u64)> {
        let mut since = Vec::new();
        for (conversation, view) in self.views.iter_mut().filter(|(_, view)| view.following) {
            if since.len() < SINCE_MAX {
                since.push((conversation.clone(), view.last));
            } else {
                // Not named, not resumed: if it comes again, it comes from its beginning.
                view.following = false;
                view.items.push(Item::Left);
            }
        }
        since
    }

    fn opened(&mut self, opened: &Opened, since: &[(String, u64)]) {
        if let Some(before) = self.log.replace(opened.log.clone())
            && before != opened.log
        {
            self.remark("", "log", format!("log {before}"), format!("log {}: the store is another one", opened.log));
        }
        for conversation in &opened.conversations {
            let id = conversation.get("id").and_then(Value::as_str).unwrap_or_default();
            let had = since.iter().find(|(named, _)| named == id).map(|(_, seq)| *seq);
            let from_seq = conversation.get("from_seq").and_then(Value::as_u64);
            if let (true, Some(had), Some(from_seq)) = (opened.resumed, had, from_seq)
                && from_seq > had
            {
                self.remark(id, "resumed", "resumed: false, since there is a gap", format!("from_seq {from_seq} after {had}"));
            }
            self.joined(conversation, had);
        }
        for (id, had) in since {
            let named = |conversation: &&Value| conversation.get("id").and_then(Value::as_str) == Some(id);
            if opened.conversations.iter().any(|conversation| named(&conversation)) {
                continue;
            }
            if opened.resumed {
                self.remark(id, "resumed", format!("the conversation, from {had}"), "resumed: true without it");
            }
            // Where nothing is promised it still has to come, with a notification of its own, but from
            // wherever that says.
            self.view(id).items.push(Item::Left);
        }
    }

    fn notified(&mut self, notification: Notification<'_>) {
        match notification.method {
            "conversation.event" => match serde_json::from_str(notification.params.get()) {
                Ok(event) => self.event(event),
                Err(error) => self.remark("", "protocol", "an event", format!("{error}: {}", notification.params)),
            },
            "conversation.followed" => match serde_json::from_str::<Value>(notification.params.get()) {
                Ok(conversation) => self.joined(&conversation, None),
                Err(error) => self.remark("", "protocol", "a conversation", error.to_string()),
            },
            "conversation.unfollowed" => {
                let params: Value = serde_json::from_str(notification.params.get()).unwrap_or_default();
                let id = params.get("conversation").and_then(Value::as_str).unwrap_or_default().to_owned();
                if !self.judged.contains(&id) {
                    let view = self.view(&id);
                    view.following = false;
                    view.items.push(Item::Left);
                }
            }
            // Lists and numbers are for agents; everything else that a customer hears names a conversation.
            "conversation.updated" | "queue.updated" | "queue.renewed" | "agent.presence" | "notification.raised"
                if self.side == Side::Customer =>
            {
                self.remark("", "visibility", "notifications for customers", notification.method);
            }
            _ => {
                if self.side == Side::Customer && self.own.is_some() {
                    let params: Value = serde_json::from_str(notification.params.get()).unwrap_or_default();
                    let named = params.get("conversation").and_then(Value::as_str);
                    if named.is_some_and(|id| self.own.as_deref() != Some(id)) {
                        self.remark(
                            named.unwrap_or_default(),
                            "foreign",
                            "only its own conversation",
                            format!("{} of another customer's", notification.method),
                        );
                    }
                }
            }
        }
    }
}
