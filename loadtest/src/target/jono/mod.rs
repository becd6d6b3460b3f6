//! Jono's own protocol: JSON-RPC over `/v1/ws`.
//!
//! Besides the tags it checks Jono's numbering: each event of a conversation names the one before it, so a hole, a repetition or an
//! event of a conversation that the session does not follow shows by itself.

mod wire;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Action, Frame, Frames, Reach, Settings, Side, Tag, Target, Told, Upgrade, Who, Writing, Wrong, json_escape};
use wire::{Event, Followed, Incoming, Kind, Opened, Taken, append, parse, question, refused, request, request_id};

/// What Jono must be told to be loaded; made by the preparation of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Place {
    /// The public key of the site that visitors come from.
    pub site: String,
    /// The id of the queue.
    pub queue: String,
    /// A token for every agent, and its id for hand-overs.
    pub agents: Vec<Account>,
    /// The number of the first agent in `agents`.
    pub agents_from: u32,
    /// The name of the run: part of every key.
    pub run: u32,
}

/// An agent's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Account {
    /// `agt_...`; may be empty where nothing is handed over.
    pub id: String,
    /// What it signs in with.
    pub token: String,
}

/// The adapter.
#[derive(Debug)]
pub struct Jono {
    place: Place,
    /// Conversations by their id.
    known: HashMap<Box<str>, usize>,
    conversations: Vec<Conversation>,
    /// From the generator's number to the index in `conversations`.
    ours: HashMap<u32, usize>,
}

#[derive(Debug)]
struct Conversation {
    id: Box<str>,
    /// The generator's number, once its customer's start was answered.
    number: Option<u32>,
    claim: u64,
    /// It has ended: who took part may be told more, a rating say, and nobody follows it any more.
    ended: bool,
    /// An agent that picked it before the start was answered.
    picked_by: Option<u32>,
}

/// What a session remembers.
#[derive(Debug, Default)]
pub struct Session {
    resume: Option<Box<str>>,
    follows: Vec<Follow>,
    opened_before: bool,
}

#[derive(Debug)]
struct Follow {
    conversation: usize,
    /// The last event that was shown.
    seq: u64,
    /// Nothing was shown since it is followed: `prev` may be an older one, when this audience may not see the last.
    fresh: bool,
}

impl Jono {
    /// The adapter for the place in the settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { place: settings.place.clone(), known: HashMap::new(), conversations: Vec::new(), ours: HashMap::new() }
    }

    fn know(&mut self, id: &str) -> usize {
        if let Some(index) = self.known.get(id) {
            return *index;
        }
        let index = self.conversations.len();
        self.conversations.push(Conversation { id: id.into(), number: None, claim: 0, ended: false, picked_by: None });
        self.known.insert(id.into(), index);
        index
    }

    fn own(&self, number: u32) -> Option<&Conversation> {
        self.ours.get(&number).map(|index| &self.conversations[*index])
    }

    fn opened_with(&mut self, who: Who, session: &mut Session, result: &str, told: &mut Vec<Told>) -> Result<(), String> {
        let opened: Opened<'_> = parse(result)?;
        let complete = session.opened_before.then_some(opened.resumed || session.follows.is_empty());
        session.opened_before = true;
        if let (Who::Customer(_), Some(resume)) = (who, opened.resume) {
            session.resume = Some(resume.into());
        }
        for followed in &opened.conversations {
            self.follow(session, followed);
        }
        told.push(Told::Ready { complete });
        Ok(())
    }

    /// The events after `from_seq` come next.
    fn follow(&mut self, session: &mut Session, followed: &Followed<'_>) -> usize {
        let conversation = self.know(followed.id);
        let seq = followed.from_seq.unwrap_or(0);
        match session.follows.iter_mut().find(|follow| follow.conversation == conversation) {
            Some(follow) => (follow.seq, follow.fresh) = (seq, true),
            None => session.follows.push(Follow { conversation, seq, fresh: true }),
        }
        conversation
    }

    fn event(&mut self, who: Who, session: &mut Session, params: &str, told: &mut Vec<Told>) -> Result<(), String> {
        let event: Event<'_> = parse(params)?;
        let conversation = self.know(event.conversation);
        let Some(at) = session.follows.iter().position(|follow| follow.conversation == conversation) else {
            told.extend((!self.conversations[conversation].ended).then_some(Told::Wrong(Wrong::Foreign)));
            return Ok(());
        };
        let follow = &mut session.follows[at];
        if event.seq <= follow.seq {
            told.push(Told::Wrong(Wrong::Repeated));
        } else if event.prev > follow.seq || (event.prev < follow.seq && !follow.fresh) {
            told.push(Told::Wrong(Wrong::Hole));
        }
        follow.seq = follow.seq.max(event.seq);
        follow.fresh = false;
        let number = self.conversations[conversation].number;
        match event.kind {
            "message" => told.extend(Told::shown(event.body.get().as_bytes(), Writing::Json)),
            "note" => match (who, Tag::find(event.body.get().as_bytes(), Writing::Json)) {
                (Who::Customer(_), _) => told.push(Told::Wrong(Wrong::Foreign)),
                (Who::Agent(_), Some((tag, intact))) if tag.side == Side::Note => told.push(Told::Delivered { tag, intact }),
                (Who::Agent(_), _) => {}
            },
            "claimed" | "assigned" => {
                if let (Who::Customer(_), Some(conversation)) = (who, number) {
                    told.push(Told::Claimed { conversation });
                }
            }
            "closed" => {
                session.follows.swap_remove(at);
                self.conversations[conversation].ended = true;
                told.extend(number.map(|conversation| Told::Ended { conversation }));
            }
            _ => {}
        }
        Ok(())
    }

    fn answered(
        &mut self,
        who: Who,
        session: &mut Session,
        (id, result): (u64, &str),
        told: &mut Vec<Told>,
    ) -> Result<(), String> {
        let (kind, number, message) = question(id).ok_or("an answer to a question that nobody asked")?;
        match kind {
            Kind::Open => self.opened_with(who, session, result, told)?,
            Kind::Start => {
                #[derive(Deserialize)]
                struct Started<'a> {
                    conversation: &'a str,
                }
                let started: Started<'_> = parse(result)?;
                let index = self.know(started.conversation);
                self.conversations[index].number = Some(number);
                self.ours.insert(number, index);
                told.push(Told::Begun { conversation: number });
                if let Some(agent) = self.conversations[index].picked_by.take() {
                    told.push(Told::Picked { conversation: number, agent });
                }
            }
            Kind::Pick => {
                let (Who::Agent(agent) | Who::Customer(agent)) = who;
                let taken: Taken<'_> = parse(result)?;
                let index = self.know(taken.conversation);
                let conversation = &mut self.conversations[index];
                conversation.claim = taken.claim;
                match conversation.number {
                    Some(conversation) => told.push(Told::Picked { conversation, agent }),
                    None => conversation.picked_by = Some(agent),
                }
            }
            Kind::Send => told.push(Told::Acknowledged { conversation: number, number: message }),
            Kind::End | Kind::HandOver | Kind::Other => {}
        }
        Ok(())
    }
}

impl Target for Jono {
    type Session = Session;

    fn reach(&self) -> Reach {
        Reach { agents: true, queue: true, typing: true, hand_over: true, notes: true, repeats: true, resumes: true }
    }

    fn upgrade(&self, _: Who) -> Upgrade {
        Upgrade { path: "/v1/ws".to_owned(), subprotocol: None }
    }

    fn opened(&mut self, who: Who, session: &mut Session, out: &mut Frames<'_>, _: &mut Vec<Told>) {
        request(out, request_id(Kind::Open, 0, 0), "session.open", |bytes| {
            match who {
                Who::Customer(_) => append(bytes, &["\"role\":\"customer\",\"site\":\"", &self.place.site, "\""]),
                Who::Agent(number) => {
                    let account = number.checked_sub(self.place.agents_from).and_then(|at| self.place.agents.get(at as usize));
                    let token = account.map_or("", |account| account.token.as_str());
                    append(bytes, &["\"role\":\"agent\",\"token\":\"", token, "\""]);
                }
            }
            if let Some(resume) = &session.resume {
                append(bytes, &[",\"resume\":\"", resume, "\""]);
            }
            for (at, follow) in session.follows.iter().enumerate() {
                let before = if at == 0 { ",\"since\":{\"" } else { ",\"" };
                append(bytes, &[before, &self.conversations[follow.conversation].id, "\":", &follow.seq.to_string()]);
            }
            if !session.follows.is_empty() {
                bytes.push(b'}');
            }
        });
    }

    fn act(&mut self, who: Who, _: &mut Session, action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match action {
            Action::Join(pair) => told.push(Told::Joined { conversation: pair.conversation }),
            Action::Begin { conversation } => {
                request(out, request_id(Kind::Start, conversation, 0), "conversation.start", |bytes| {
                    let key = format!("{:08x}-{conversation:x}", self.place.run);
                    append(bytes, &["\"queue\":\"", &self.place.queue, "\",\"key\":\"", &key, "\""]);
                })
            }
            Action::Pick => request(out, request_id(Kind::Pick, 0, 0), "queue.pick", |bytes| {
                append(bytes, &["\"queue\":\"", &self.place.queue, "\""]);
            }),
            Action::Send { pair, number, text } => {
                let Some(conversation) = self.own(pair.conversation) else { return };
                let side = if matches!(who, Who::Customer(_)) { 'c' } else { 'a' };
                request(out, request_id(Kind::Send, pair.conversation, number), "message.send", |bytes| {
                    let key = format!("{:08x}-{:x}-{side}{number:x}", self.place.run, pair.conversation);
                    append(bytes, &["\"conversation\":\"", &conversation.id, "\",\"key\":\"", &key, "\""]);
                    if side == 'a' {
                        append(bytes, &[",\"claim\":", &conversation.claim.to_string()]);
                    }
                    append(bytes, &[",\"text\":\""]);
                    json_escape(bytes, text);
                    bytes.push(b'"');
                });
            }
            Action::Note { conversation, text } => {
                let Some(own) = self.own(conversation) else { return };
                request(out, request_id(Kind::Other, conversation, 0), "note.add", |bytes| {
                    append(bytes, &["\"conversation\":\"", &own.id, "\",\"text\":\""]);
                    json_escape(bytes, text);
                    bytes.push(b'"');
                });
            }
            Action::Typing { conversation, typing } => {
                let Some(own) = self.own(conversation) else { return };
                let typing = if typing { "true" } else { "false" };
                request(out, request_id(Kind::Other, conversation, 0), "typing.set", |bytes| {
                    append(bytes, &["\"conversation\":\"", &own.id, "\",\"typing\":", typing]);
                });
            }
            Action::HandOver { conversation, to } => {
                let Some(own) = self.own(conversation) else { return };
                let account = to.checked_sub(self.place.agents_from).and_then(|at| self.place.agents.get(at as usize));
                let agent = account.map_or("", |account| account.id.as_str());
                request(out, request_id(Kind::HandOver, conversation, 0), "conversation.assign", |bytes| {
                    let claim = own.claim.to_string();
                    append(bytes, &["\"conversation\":\"", &own.id, "\",\"agent\":\"", agent, "\",\"claim\":", &claim]);
                });
            }
            Action::End { conversation } => {
                let Some(own) = self.own(conversation) else { return };
                let agent = matches!(who, Who::Agent(_));
                let method = if agent { "conversation.close" } else { "conversation.leave" };
                request(out, request_id(Kind::End, conversation, 0), method, |bytes| {
                    append(bytes, &["\"conversation\":\"", &own.id, "\""]);
                    if agent {
                        append(bytes, &[",\"claim\":", &own.claim.to_string()]);
                    }
                });
            }
            Action::Leave => request(out, request_id(Kind::Other, 0, 0), "session.close", |_| {}),
        }
    }

    fn heard(
        &mut self,
        who: Who,
        session: &mut Session,
        frame: Frame<'_>,
        _: &mut Frames<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(frame.bytes()).map_err(|_| "a frame that is not UTF-8")?;
        let incoming: Incoming<'_> = parse(text)?;
        if let Some(failure) = &incoming.error {
            return refused(incoming.id, failure, told);
        }
        match (incoming.method, incoming.id) {
            (None, Some(id)) => {
                let result = incoming.result.map_or("null", RawValue::get);
                self.answered(who, session, (id, result), told)
            }
            (Some("conversation.event"), _) => {
                let params = incoming.params.ok_or("an event without parameters")?;
                self.event(who, session, params.get(), told)
            }
            (Some("conversation.followed"), _) => {
                let params = incoming.params.ok_or("a notification without parameters")?;
                let followed: Followed<'_> = parse(params.get())?;
                let index = self.follow(session, &followed);
                let conversation = &mut self.conversations[index];
                if let (Who::Agent(agent), Some(claim)) = (who, followed.claim)
                    && claim > conversation.claim
                {
                    conversation.claim = claim;
                    told.extend(conversation.number.map(|conversation| Told::Held { conversation, agent }));
                }
                Ok(())
            }
            (Some("conversation.unfollowed"), _) => {
                #[derive(Deserialize)]
                struct Unfollowed<'a> {
                    conversation: &'a str,
                }
                let params = incoming.params.ok_or("a notification without parameters")?;
                let unfollowed: Unfollowed<'_> = parse(params.get())?;
                let index = self.know(unfollowed.conversation);
                session.follows.retain(|follow| follow.conversation != index);
                Ok(())
            }
            (Some(_), _) => Ok(()),
            (None, None) => Err("neither an answer nor a notification".to_owned()),
        }
    }
}
