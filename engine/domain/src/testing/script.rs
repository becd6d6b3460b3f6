//! Scenarios as pages of text.
//!
//! A line that starts at the margin is done: a time since the beginning (`m:ss`), then who does what.
//! The indented lines below it are what happened from it, and what the timers did until the next line.
//! Agents are `bob` and `eve` of the queue sales, `dan` of tech, and the operator `oda`; every other name is
//! a customer, and the name of their conversation; `ann2` is the second conversation of `ann`.
//! Entries are `conversation#seq`; those in brackets are not for customers. `->` is an answer that says more than yes.

use super::{BEGINNING, BOB, DAN, EVE, FOREIGN, ODA, ORGANISATION, SALES, TECH, World, agent, customer};
use crate::account::{Author, Who};
use crate::agent::{self as agents, Status};
use crate::conversation::{Body, Command, Entry, MetadataValue, Row, Start};
use crate::customer as customers;
use crate::id::{AgentId, ConversationId, CustomerId, QueueId};
use crate::message::{Address, Order};
use crate::notice::{Deadlines, Notice};
use crate::organisation::{self, Change, ReleaseClock, TagDefinition};
use crate::queue;
use crate::reply::{Refusal, Reply};
use crate::time::{MINUTE_MS, SECOND_MS, Time};

/// Does what the page says, and compares what happens with what the page expects.
pub(crate) fn check(page: &str) {
    let lines: Vec<&str> = page.lines().filter(|line| !line.trim().is_empty()).collect();
    let margin = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let expected: Vec<&str> = lines.iter().map(|line| line[margin..].trim_end()).collect();
    let mut stage = Stage::new();
    for line in expected.iter().filter(|line| !line.starts_with(' ')) {
        stage.play(line);
    }
    stage.world.drain();
    stage.flush();
    let happened = stage.out.join("\n");
    assert!(happened == expected.join("\n"), "\n--- expected\n{}\n--- happened\n{happened}\n", expected.join("\n"));
}

pub(crate) struct Stage {
    pub world: World,
    customers: Vec<String>,
    conversations: Vec<String>,
    rendered: usize,
    line_at: Time,
    out: Vec<String>,
}

fn time(text: &str) -> u64 {
    let (minutes, seconds) = text.split_once(':').unwrap_or_else(|| panic!("not a time: {text}"));
    let seconds: f64 = seconds.parse().unwrap_or_else(|_| panic!("not a time: {text}"));
    minutes.parse::<u64>().expect("minutes") * MINUTE_MS + (seconds * SECOND_MS as f64).round() as u64
}

fn clock(at: Time) -> String {
    let ms = at.since_ms(BEGINNING);
    let (minutes, ms) = (ms / MINUTE_MS, ms % MINUTE_MS);
    let fraction = if ms % SECOND_MS == 0 { String::new() } else { format!(".{:03}", ms % SECOND_MS) };
    format!("{minutes}:{:02}{fraction}", ms / SECOND_MS)
}

fn agent_id(name: &str) -> Option<AgentId> {
    match name {
        "bob" => Some(BOB),
        "eve" => Some(EVE),
        "dan" => Some(DAN),
        "oda" => Some(ODA),
        _ => None,
    }
}

fn agent_name(id: AgentId) -> &'static str {
    ["nobody", "bob", "eve", "dan", "oda"].get(id.bits() as usize).copied().unwrap_or("somebody")
}

fn queue_id(name: &str) -> QueueId {
    match name {
        "sales" => SALES,
        "tech" => TECH,
        _ => QueueId::from_bits(99),
    }
}

fn queue_name(id: QueueId) -> &'static str {
    match id {
        SALES => "sales",
        TECH => "tech",
        _ => "elsewhere",
    }
}

fn numbered(names: &mut Vec<String>, name: &str) -> u128 {
    let place = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    place as u128 + 1
}

impl Stage {
    pub fn new() -> Self {
        let world = World::new();
        Self { world, customers: Vec::new(), conversations: Vec::new(), rendered: 0, line_at: BEGINNING, out: Vec::new() }
    }

    fn who(&mut self, name: &str) -> Who {
        if let Some(name) = name.strip_prefix("foreign-") {
            return match agent_id(name) {
                Some(id) => Who::Agent(FOREIGN, id),
                None => Who::Customer(FOREIGN, self.customer_id(name)),
            };
        }
        match agent_id(name) {
            Some(id) => agent(id),
            None if name == "root" => Who::Root,
            None => customer(self.customer_id(name).bits()),
        }
    }

    fn customer_id(&mut self, name: &str) -> CustomerId {
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        CustomerId::from_bits(numbered(&mut self.customers, name))
    }

    fn conversation_id(&mut self, name: &str) -> ConversationId {
        ConversationId::from_bits(numbered(&mut self.conversations, name))
    }

    fn conversation_name(&self, id: ConversationId) -> &str {
        self.conversations.get(id.bits() as usize - 1).map_or("unknown", String::as_str)
    }

    fn author_name(&self, author: Author) -> String {
        match author {
            Author::Agent(id) => agent_name(id).to_owned(),
            Author::Customer(id) => self.customers[id.bits() as usize - 1].clone(),
            Author::System => "system".to_owned(),
        }
    }

    /// Does what one line says.
    fn play(&mut self, line: &str) {
        let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = BEGINNING + time(at);
        self.world.pass_until(at);
        self.flush();
        self.line_at = at;
        self.out.push(line.to_owned());
        if rest.is_empty() {
            return;
        }
        let (rest, text) = rest.split_once(": ").map_or((rest, None), |(rest, text)| (rest, Some(text.to_owned())));
        let words: Vec<&str> = rest.split(' ').collect();
        // `... under 3` is the claim under which an agent writes.
        let (words, claim) = match words.as_slice() {
            [words @ .., "under", claim] => (words.to_vec(), Some(claim.parse().expect("a claim's number"))),
            words => (words.to_vec(), None),
        };
        let who = self.who(words[0]);
        let Some(order) = self.order(who, &words, text, claim) else {
            self.world.drain();
            return;
        };
        let answer = self.world.ask(who, order);
        self.flush();
        let answer = self.answer(answer);
        self.out.extend(answer.into_iter().map(|line| format!("     -> {line}")));
    }

    fn order(&mut self, who: Who, words: &[&str], text: Option<String>, claim: Option<u64>) -> Option<Order> {
        let text_or_empty = text.clone().unwrap_or_default();
        let to = |conversation: ConversationId, command: Command| Some(Order::Conversation(conversation, Box::new(command)));
        match words[1..] {
            ["connects"] => {
                self.world.connect(who);
                None
            }
            ["disconnects"] => {
                self.world.disconnect(who);
                None
            }
            ["restarts"] => {
                self.world.restart();
                None
            }
            ["starts", "in", queue] => {
                let (customer, conversation) = (self.customer_id(words[0]), self.conversation_id(words[0]));
                let start = Box::new(Start {
                    organisation: ORGANISATION,
                    customer,
                    customer_name: Some(words[0].to_owned()),
                    metadata: Vec::new(),
                    message: text,
                    priority: 0,
                });
                let command = customers::Command::Start { conversation, queue: queue_id(queue), start };
                Some(Order::Customer(customer, Box::new(command)))
            }
            ["picks", "from", queue] => Some(Order::Queue(queue_id(queue), Box::new(queue::Command::Pick { missed: 0 }))),
            ["lists", queue] => Some(Order::Queue(queue_id(queue), Box::new(queue::Command::List { after: None, limit: 100 }))),
            ["counts", queue] => Some(Order::Queue(queue_id(queue), Box::new(queue::Command::Describe))),
            ["opens", queue] => Some(Order::Queue(queue_id(queue), Box::new(queue::Command::SetOpen { open: true }))),
            ["shuts", queue] => Some(Order::Queue(queue_id(queue), Box::new(queue::Command::SetOpen { open: false }))),
            ["is", status] => {
                let status = match status {
                    "online" => Status::Online,
                    "away" => Status::Away,
                    _ => Status::Offline,
                };
                let own = agent_id(words[0].trim_start_matches("foreign-")).expect("an agent");
                Some(Order::Agent(own, Box::new(agents::Command::SetStatus { status })))
            }
            ["looks", "at", "herself"] => {
                Some(Order::Customer(self.customer_id(words[0]), Box::new(customers::Command::Describe)))
            }
            ["looks", "at", name] => to(self.conversation_id(name), Command::Describe),
            ["reads", name, seq] => to(self.conversation_id(name), Command::Read { seq: seq.parse().expect("a number") }),
            ["writes", name] => to(self.conversation_id(name), Command::Send { claim, text: text_or_empty }),
            ["writes"] => to(self.conversation_id(words[0]), Command::Send { claim, text: text_or_empty }),
            ["types"] => to(self.conversation_id(words[0]), Command::Type { typing: true, preview: text }),
            ["types", "to", name] => to(self.conversation_id(name), Command::Type { typing: true, preview: text }),
            ["claims", name] => to(self.conversation_id(name), Command::Claim { picked: None }),
            ["releases", name] => to(self.conversation_id(name), Command::Release { claim }),
            ["touches", name] => to(self.conversation_id(name), Command::Touch { claim }),
            ["ends", name] => to(self.conversation_id(name), Command::Close { claim }),
            ["leaves"] => to(self.conversation_id(words[0]), Command::Close { claim }),
            ["notes", name] => to(self.conversation_id(name), Command::AddNote { text: text_or_empty }),
            ["tags", name, tag] => to(self.conversation_id(name), Command::AddTag { tag: tag.to_owned() }),
            ["untags", name, tag] => to(self.conversation_id(name), Command::RemoveTag { tag: tag.to_owned() }),
            ["prioritises", name, priority] => {
                to(self.conversation_id(name), Command::Prioritise { priority: priority.parse().expect("a priority") })
            }
            ["rates", rating] => {
                let command = Command::Rate { rating: rating.parse().expect("a rating"), comment: text };
                to(self.conversation_id(words[0]), command)
            }
            ["shows", key, value] => {
                let changes = vec![(key.to_owned(), Some(MetadataValue::Text(value.to_owned())))];
                to(self.conversation_id(words[0]), Command::UpdateMetadata { changes })
            }
            ["hands", name, "to", other] => {
                let to_agent = agent_id(other).unwrap_or(AgentId::from_bits(77));
                to(self.conversation_id(name), Command::Assign { claim, to: to_agent, accepted: false })
            }
            ["moves", name, "to", queue] => {
                let command = Command::Transfer { claim, to: queue_id(queue), note: text, admitted: false };
                to(self.conversation_id(name), command)
            }
            ["blocks", name] => to(self.conversation_id(name), Command::BlockCustomer { duration_ms: None }),
            ["blocks", name, "for", span] => {
                to(self.conversation_id(name), Command::BlockCustomer { duration_ms: Some(time(span)) })
            }
            ["unblocks", name] => to(self.conversation_id(name), Command::UnblockCustomer),
            ["sets", queue, setting, value] => {
                self.set(queue_id(queue), setting, value);
                None
            }
            ["disables", name] => {
                let id = agent_id(name).expect("an agent");
                let mut account = self.world.directory.accounts[&id].clone();
                account.disabled = true;
                self.change(Change::PutAgent { agent: id, account: Some(Box::new(account)) })
            }
            ["removes", name] => match agent_id(name) {
                Some(id) => self.change(Change::PutAgent { agent: id, account: None }),
                None => self.change(Change::PutQueue { queue: queue_id(name), config: None }),
            },
            ["defines", tag] => self.change(Change::PutTag { tag: tag.to_owned(), definition: Some(TagDefinition::default()) }),
            ["hears"] => {
                self.hears(who);
                None
            }
            _ => panic!("nobody can do this: {words:?}"),
        }
    }

    fn change(&mut self, change: Change) -> Option<Order> {
        Some(Order::Organisation(ORGANISATION, Box::new(organisation::Command::Change(Box::new(change)))))
    }

    fn set(&mut self, queue: QueueId, setting: &str, value: &str) {
        self.world.set(queue, |settings| match setting {
            "waiting_max" => settings.waiting_max = Some(value.parse().expect("a number")),
            "targets" => settings.transfer_targets = Some(value.split(',').filter(|it| *it != "-").map(queue_id).collect()),
            "release" => settings.policy.release_after_ms = time(value),
            "close" => settings.policy.close_after_ms = time(value),
            "warn" => settings.policy.warn_before_ms = time(value),
            "clock" => settings.policy.release_clock = ReleaseClock::CustomerWaits,
            "position" => settings.policy.show_position = value == "on",
            "preview" => settings.policy.typing_preview = value == "on",
            _ => panic!("no such setting: {setting}"),
        });
        self.world.drain();
    }

    /// The entries and positions that a connection of this credential was told, since it was asked last.
    fn hears(&mut self, who: Who) {
        let told = std::mem::take(&mut self.world.told);
        for (session, notice) in told {
            if self.world.sessions.get(&session) == Some(&who) {
                let line = match &notice {
                    Notice::Typing { by, preview, .. } => Some(format!(
                        "{} types{}",
                        self.author_name(*by),
                        preview.as_ref().map_or(String::new(), |it| format!(": {it}"))
                    )),
                    notice => self.notice(Address::Organisation(ORGANISATION), notice),
                };
                self.out.extend(line.map(|line| format!("     {line}")));
            }
        }
    }

    /// What has been published meanwhile.
    fn flush(&mut self) {
        let published: Vec<_> = self.world.published[self.rendered..].to_vec();
        self.rendered = self.world.published.len();
        for (at, from, notice) in published {
            if let Some(line) = self.notice(from, &notice) {
                let at = if at == self.line_at { String::new() } else { format!("{} ", clock(at)) };
                self.out.push(format!("     {at}{line}"));
            }
        }
    }

    fn notice(&self, from: Address, notice: &Notice) -> Option<String> {
        match notice {
            Notice::Entry { conversation, entry, .. } => Some(self.entry(*conversation, entry)),
            Notice::Position { conversation, position, reason, wait_ms } => {
                let wait = wait_ms.map_or(String::new(), |ms| format!(", about {}", clock(BEGINNING + ms)));
                let reason = reason.map_or(String::new(), |reason| format!(" ({reason:?})"));
                Some(format!("{} is told place {position}{wait}{reason}", self.conversation_name(*conversation)))
            }
            Notice::Deadline { conversation, deadlines, warning: Some(warning) } => {
                let deadline = match warning {
                    crate::notice::Warning::Release => deadlines.release_at,
                    crate::notice::Warning::Close => deadlines.close_at,
                };
                let deadline = deadline.map_or("never".to_owned(), clock);
                Some(format!("{} warned: {warning:?} at {deadline}", self.conversation_name(*conversation)))
            }
            Notice::Raised { conversation, preview, .. } => {
                Some(format!("raised: {}: {preview}", self.conversation_name(*conversation)))
            }
            Notice::Presence { agent, presence } => {
                let connected = if presence.connected { "" } else { ", not connected" };
                Some(format!("{} {:?} ({:?}{connected})", agent_name(*agent), presence.status, presence.cause))
            }
            Notice::Blocked(until) => {
                let Address::Customer(customer) = from else { return Some(format!("blocked: {}", blocked(until))) };
                Some(format!("{} blocked: {}", self.customers[customer.bits() as usize - 1], blocked(until)))
            }
            Notice::Deadline { warning: None, .. }
            | Notice::Typing { .. }
            | Notice::Receipt { .. }
            | Notice::Rows(_)
            | Notice::Queue(_)
            | Notice::Canned(_)
            | Notice::OrganisationChanged => None,
        }
    }

    fn entry(&self, conversation: ConversationId, entry: &Entry) -> String {
        let by = self.author_name(entry.by);
        let body = match &entry.body {
            Body::Started { .. } => "started".to_owned(),
            Body::Queued { queue, position, .. } => format!("queued in {} at {position}", queue_name(*queue)),
            Body::Claimed { agent, claim } => format!("claimed by {}, claim {claim}", agent_name(*agent)),
            Body::Released { agent, cause } => format!("released from {} ({cause:?})", agent_name(*agent)),
            Body::Assigned { from, to, claim } => {
                format!("assigned from {} to {}, claim {claim}", from.map_or("nobody", agent_name), agent_name(*to))
            }
            Body::Transferred { from, to, .. } => format!("moved from {} to {}", queue_name(*from), queue_name(*to)),
            Body::Message { text } => format!("{by}: {text}"),
            Body::NoteAdded { text } => format!("[{by} notes: {text}]"),
            Body::Tagged { tag } => format!("[tagged {tag}]"),
            Body::Untagged { tag } => format!("[untagged {tag}]"),
            Body::Prioritised { priority } => format!("[priority {priority}]"),
            Body::MetadataChanged { changes } => {
                format!("[metadata {}]", changes.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" "))
            }
            Body::Blocked { until } => format!("blocked by {by}: {}", blocked(&Some(*until))),
            Body::Unblocked => format!("unblocked by {by}"),
            Body::Closed { cause, .. } => format!("closed ({cause:?})"),
            Body::Rated { rating, comment } => {
                format!("rated {rating}{}", comment.as_ref().map_or(String::new(), |comment| format!(": {comment}")))
            }
        };
        format!("{}#{} {body}", self.conversation_name(conversation), entry.seq)
    }

    fn answer(&self, answer: Result<Reply, Refusal>) -> Vec<String> {
        match answer {
            Ok(Reply::Done | Reply::Stored { .. } | Reply::Created(_) | Reply::Presence(_)) => Vec::new(),
            Ok(Reply::Started { position, wait_ms, .. }) => {
                let place = position.map_or("no place".to_owned(), |position| format!("place {position}"));
                vec![place + &wait_ms.map_or(String::new(), |ms| format!(", about {}", clock(BEGINNING + ms)))]
            }
            Ok(Reply::Claimed { conversation, claim, .. }) => {
                vec![format!("claim {claim} of {}", self.conversation_name(conversation))]
            }
            Ok(Reply::Conversation(view)) => {
                let place = view.position.map_or(String::new(), |position| format!(", place {position}"));
                let tags: String = view.row.tags.iter().map(|tag| format!(", {tag}")).collect();
                vec![format!("{}{place}{tags}, head {}{}", self.row(&view.row), view.head, metadata(&view))]
            }
            Ok(Reply::Queue(numbers)) => {
                let longest = numbers.longest_waiting_since.map_or(String::new(), |at| format!(" since {}", clock(at)));
                let open = if numbers.open { "open" } else { "closed" };
                vec![format!("{open}: {} wait{longest}, {} active, {} unread", numbers.waiting, numbers.active, numbers.unread)]
            }
            Ok(Reply::Rows(rows)) => rows.iter().map(|row| self.row(row)).collect(),
            Ok(Reply::Agent(view)) => vec![format!("{:?}, holds {}", view.status, view.held.len())],
            Ok(Reply::Customer(view)) => {
                vec![format!("open {}, ended {}, blocked: {}", view.open.len(), view.ended.len(), blocked(&view.blocked))]
            }
            Err(Refusal::ClaimHeld { holder, .. }) => vec![format!("ClaimHeld by {}", agent_name(holder))],
            Err(Refusal::ClaimLost { holder, claim }) => {
                vec![format!("ClaimLost to {}, claim {claim}", holder.map_or("nobody", agent_name))]
            }
            Err(Refusal::Blocked { until }) => vec![format!("Blocked: {}", blocked(&Some(until)))],
            Err(Refusal::Conflict(why)) => vec![format!("Conflict: {why}")],
            Err(Refusal::Invalid(field)) => vec![format!("Invalid: {field}")],
            Err(refusal) => vec![format!("{refusal:?}")],
        }
    }

    fn row(&self, row: &Row) -> String {
        let holder = row.holder.map_or(String::new(), |holder| format!(" by {}", agent_name(holder)));
        let unread = if row.unread == 0 { String::new() } else { format!(", {} unread", row.unread) };
        format!("{} {:?}{holder}{unread}{}", self.conversation_name(row.conversation), row.state, deadlines(&row.deadlines))
    }
}

fn metadata(view: &crate::reply::ConversationView) -> String {
    view.metadata.keys().map(|key| format!(", {key}")).collect()
}

fn deadlines(deadlines: &Deadlines) -> String {
    let one = |name: &str, at: Option<Time>| at.map_or(String::new(), |at| format!(", {name} {}", clock(at)));
    one("release", deadlines.release_at) + &one("close", deadlines.close_at)
}

fn blocked(until: &Option<Option<Time>>) -> String {
    match until {
        None => "no".to_owned(),
        Some(None) => "for ever".to_owned(),
        Some(Some(until)) => format!("until {}", clock(*until)),
    }
}
