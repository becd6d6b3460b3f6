//! The one table of methods: what dispatch goes by, and what the documents are made from.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::params as p;
use super::results as r;
use super::shown::{AnyConversation, AnyQueue};

/// Who may call a method, or gets a notification. Operators may do what agents may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Also before a session is open.
    pub const ANYBODY: Roles = Roles(0b1111);
    /// Every open session.
    pub const ALL: Roles = Roles(0b0111);
    /// Visitors.
    pub const CUSTOMER: Roles = Roles(0b0001);
    /// Agents and operators.
    pub const AGENT: Roles = Roles(0b0110);
    /// Agents who are not operators.
    pub const PLAIN_AGENT: Roles = Roles(0b0010);
    /// Operators alone.
    pub const OPERATOR: Roles = Roles(0b0100);
    /// Only before a session is open.
    pub const NOBODY_YET: Roles = Roles(0b1000);

    /// Are all of those in here?
    #[must_use]
    pub const fn include(self, other: Roles) -> bool {
        self.0 & other.0 == other.0
    }

    /// Their names, in words.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (Roles::NOBODY_YET, "before open"),
            (Roles::CUSTOMER, "customer"),
            (Roles::PLAIN_AGENT, "agent"),
            (Roles::OPERATOR, "operator"),
        ];
        all.into_iter().filter(|(role, _)| self.include(*role)).map(|(_, name)| name).collect()
    }
}

/// How often a method may be called; see the session's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Not limited beyond the frames of the socket.
    Free,
    /// Typing and reading marks.
    Signal,
    /// What is stored.
    Write,
    /// What reads much.
    Read,
    /// Beginning a conversation.
    Start,
}

/// A method, for dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described by its row in the table")]
pub enum Call {
    Ping,
    SessionOpen,
    SessionClose,
    ConversationStart,
    MessageSend,
    TypingSet,
    ReceiptRead,
    ConversationGet,
    ConversationHistory,
    ConversationFollow,
    ConversationUnfollow,
    QueuePick,
    ConversationClaim,
    ConversationRelease,
    ConversationTouch,
    ConversationAssign,
    ConversationTransfer,
    ConversationClose,
    ConversationLeave,
    ConversationRate,
    NoteAdd,
    TagAdd,
    TagRemove,
    PrioritySet,
    MetadataUpdate,
    CustomerBlock,
    CustomerUnblock,
    ConversationList,
    ConversationSearch,
    QueueList,
    QueueSubscribe,
    QueueUnsubscribe,
    QueueOpen,
    QueueClose,
    PresenceSet,
    AgentList,
    CannedList,
    CannedSet,
    CannedRemove,
    TagList,
}

/// One row of the table.
pub struct Method {
    /// As clients say it.
    pub name: &'static str,
    /// As dispatch says it.
    pub call: Call,
    /// Who may.
    pub roles: Roles,
    /// Changes something, so it takes a `key`.
    pub mutating: bool,
    /// How often.
    pub rate: Rate,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// The reasons it may be refused with, besides `unauthorized`, `forbidden`, `rate_limited`, `busy` and
    /// `unavailable`, which all may give.
    pub reasons: &'static [&'static str],
    /// The schema of `params`.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of `result`.
    pub result: fn(&mut SchemaGenerator) -> Schema,
}

impl Method {
    /// The method of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.name == name)
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

const fn reads<P: JsonSchema, R: JsonSchema>(
    name: &'static str,
    call: Call,
    roles: Roles,
    rate: Rate,
    summary: &'static str,
    reasons: &'static [&'static str],
) -> Method {
    Method { name, call, roles, mutating: false, rate, summary, reasons, params: schema::<P>, result: schema::<R> }
}

const fn writes<P: JsonSchema, R: JsonSchema>(
    name: &'static str,
    call: Call,
    roles: Roles,
    rate: Rate,
    summary: &'static str,
    reasons: &'static [&'static str],
) -> Method {
    Method { name, call, roles, mutating: true, rate, summary, reasons, params: schema::<P>, result: schema::<R> }
}

/// All methods, in the order of the documents.
pub const METHODS: &[Method] = &[
    reads::<p::Nothing, r::Pong>("ping", Call::Ping, Roles::ANYBODY, Rate::Free, "Answers with the server's time.", &[]),
    reads::<p::SessionOpen, r::SessionOpened<'static>>(
        "session.open",
        Call::SessionOpen,
        Roles::NOBODY_YET,
        Rate::Free,
        "Says who the client is; the first request. Needs an id. The result comes before any notification.",
        &["conflict"],
    ),
    reads::<p::Nothing, r::Done>(
        "session.close",
        Call::SessionClose,
        Roles::ALL,
        Rate::Free,
        "Ends the session: the answer, then close code 1000.",
        &[],
    ),
    writes::<p::ConversationStart, r::Started>(
        "conversation.start",
        Call::ConversationStart,
        Roles::CUSTOMER,
        Rate::Start,
        "Begins a conversation in a queue; at most four may be open. All the customer's sessions follow it (`conversation.followed`).",
        &["queue_closed", "queue_full", "blocked", "conflict", "not_found", "too_large"],
    ),
    writes::<p::MessageSend, r::Written>(
        "message.send",
        Call::MessageSend,
        Roles::ALL,
        Rate::Write,
        "Writes a message. Agents must hold the claim. The answer means that it is stored, at the durability level in force.",
        &["not_found", "conversation_closed", "blocked", "claim_held", "claim_lost", "conflict", "too_large"],
    ),
    reads::<p::TypingSet, r::Done>(
        "typing.set",
        Call::TypingSet,
        Roles::ALL,
        Rate::Signal,
        "Tells the others that the author types, or has stopped. Counts as activity; not stored.",
        &["not_found", "conversation_closed", "blocked", "claim_held", "conflict", "too_large"],
    ),
    reads::<p::ReceiptRead, r::Done>(
        "receipt.read",
        Call::ReceiptRead,
        Roles::ALL,
        Rate::Signal,
        "Moves the reader's mark; it never goes back, so repeating does nothing.",
        &["not_found"],
    ),
    reads::<p::InConversation, AnyConversation<'static>>(
        "conversation.get",
        Call::ConversationGet,
        Roles::ALL,
        Rate::Read,
        "The conversation as it stands.",
        &["not_found"],
    ),
    reads::<p::History, r::HistoryPage<'static>>(
        "conversation.history",
        Call::ConversationHistory,
        Roles::ALL,
        Rate::Read,
        "A part of the log: `after` a number or `before` one, not both.",
        &["not_found"],
    ),
    reads::<p::ConversationFollow, AnyConversation<'static>>(
        "conversation.follow",
        Call::ConversationFollow,
        Roles::ALL,
        Rate::Read,
        "Follows a conversation: the answer carries `from_seq`, the events after it come as notifications. While it is followed already, the answer says from where the session is being told, and nothing is sent again.",
        &["not_found", "too_large"],
    ),
    reads::<p::InConversation, r::Done>(
        "conversation.unfollow",
        Call::ConversationUnfollow,
        Roles::ALL,
        Rate::Free,
        "Follows it no longer; nothing about it is sent after the answer.",
        &[],
    ),
    writes::<p::ChangeQueue, r::Claimed>(
        "queue.pick",
        Call::QueuePick,
        Roles::AGENT,
        Rate::Write,
        "Takes the next customer of a queue. All the agent's sessions follow the conversation (`conversation.followed`, then all its events).",
        &["queue_empty", "not_found"],
    ),
    writes::<p::ChangeConversation, r::Claimed>(
        "conversation.claim",
        Call::ConversationClaim,
        Roles::AGENT,
        Rate::Write,
        "Takes this conversation. Exactly one agent wins.",
        &["claim_held", "not_found", "conversation_closed"],
    ),
    writes::<p::UnderClaim, r::Written>(
        "conversation.release",
        Call::ConversationRelease,
        Roles::AGENT,
        Rate::Write,
        "Gives it back to the queue; the customer keeps their place.",
        &["claim_held", "claim_lost", "not_found", "conflict", "conversation_closed"],
    ),
    writes::<p::UnderClaim, r::Done>(
        "conversation.touch",
        Call::ConversationTouch,
        Roles::AGENT,
        Rate::Write,
        "The holder is still there: moves `release_at`.",
        &["claim_held", "claim_lost", "not_found", "conflict", "conversation_closed"],
    ),
    writes::<p::Assign, r::Written>(
        "conversation.assign",
        Call::ConversationAssign,
        Roles::AGENT,
        Rate::Write,
        "Gives it to another agent of the queue who is online.",
        &["no_agents", "claim_held", "claim_lost", "not_found", "conflict", "conversation_closed"],
    ),
    writes::<p::Transfer, r::Written>(
        "conversation.transfer",
        Call::ConversationTransfer,
        Roles::AGENT,
        Rate::Write,
        "Moves it to another queue, or to an agent. Exactly one of `queue` and `agent`.",
        &["queue_closed", "queue_full", "no_agents", "claim_held", "claim_lost", "not_found", "conflict", "conversation_closed"],
    ),
    writes::<p::UnderClaim, r::Written>(
        "conversation.close",
        Call::ConversationClose,
        Roles::AGENT,
        Rate::Write,
        "Ends it.",
        &["claim_held", "claim_lost", "not_found", "conflict", "conversation_closed"],
    ),
    writes::<p::ChangeConversation, r::Written>(
        "conversation.leave",
        Call::ConversationLeave,
        Roles::CUSTOMER,
        Rate::Write,
        "The customer ends it.",
        &["not_found", "conversation_closed"],
    ),
    writes::<p::Rate, r::Written>(
        "conversation.rate",
        Call::ConversationRate,
        Roles::CUSTOMER,
        Rate::Write,
        "The customer's opinion, once, after the end.",
        &["not_found", "conflict", "too_large"],
    ),
    writes::<p::NoteAdd, r::Written>(
        "note.add",
        Call::NoteAdd,
        Roles::AGENT,
        Rate::Write,
        "Adds a note for agents. Possible until some hours after the end (a setting of the queue, by default 6).",
        &["not_found", "conversation_closed", "too_large"],
    ),
    writes::<p::Tag, r::Written>(
        "tag.add",
        Call::TagAdd,
        Roles::AGENT,
        Rate::Write,
        "Sets a tag; until some hours after the end, as notes.",
        &["not_found", "conversation_closed", "too_large"],
    ),
    writes::<p::Tag, r::Written>(
        "tag.remove",
        Call::TagRemove,
        Roles::AGENT,
        Rate::Write,
        "Takes a tag away; until some hours after the end, as notes.",
        &["not_found", "conversation_closed"],
    ),
    writes::<p::PrioritySet, r::Written>(
        "priority.set",
        Call::PrioritySet,
        Roles::AGENT,
        Rate::Write,
        "Moves it in the order of waiting.",
        &["not_found", "conversation_closed"],
    ),
    writes::<p::MetadataUpdate, r::Written>(
        "metadata.update",
        Call::MetadataUpdate,
        Roles::ALL,
        Rate::Write,
        "Tells more about the customer. Customers while it is open; agents as notes.",
        &["not_found", "conversation_closed", "too_large"],
    ),
    writes::<p::Block, r::Done>(
        "customer.block",
        Call::CustomerBlock,
        Roles::AGENT,
        Rate::Write,
        "Blocks the customer of a conversation: they are told, and cannot write.",
        &["not_found"],
    ),
    writes::<p::ChangeConversation, r::Done>(
        "customer.unblock",
        Call::CustomerUnblock,
        Roles::AGENT,
        Rate::Write,
        "Ends the block of a conversation's customer.",
        &["not_found"],
    ),
    reads::<p::List, r::ListPage<'static>>(
        "conversation.list",
        Call::ConversationList,
        Roles::AGENT,
        Rate::Read,
        "A page of a list. `conversation.updated` keeps it up to date.",
        &["not_found"],
    ),
    reads::<p::Search, r::SearchPage<'static>>(
        "conversation.search",
        Call::ConversationSearch,
        Roles::AGENT,
        Rate::Read,
        "Messages with all words of a text, in the conversations that the agent may see.",
        &["not_found", "too_large"],
    ),
    reads::<p::Page, r::QueuePage<'static>>(
        "queue.list",
        Call::QueueList,
        Roles::ALL,
        Rate::Read,
        "The queues as they stand, at most 200 a page, by name.",
        &[],
    ),
    reads::<p::InQueue, AnyQueue<'static>>(
        "queue.subscribe",
        Call::QueueSubscribe,
        Roles::AGENT,
        Rate::Read,
        "Is told the queue's numbers and rows from now on. Agents are subscribed to their queues when they open; operators may subscribe to any.",
        &["not_found"],
    ),
    reads::<p::InQueue, r::Done>(
        "queue.unsubscribe",
        Call::QueueUnsubscribe,
        Roles::AGENT,
        Rate::Free,
        "Is told no longer.",
        &[],
    ),
    writes::<p::ChangeQueue, r::Done>(
        "queue.open",
        Call::QueueOpen,
        Roles::AGENT,
        Rate::Write,
        "Opens the queue by hand; `queue.updated` tells everybody.",
        &["not_found"],
    ),
    writes::<p::ChangeQueue, r::Done>(
        "queue.close",
        Call::QueueClose,
        Roles::AGENT,
        Rate::Write,
        "Closes the queue by hand; those who wait stay.",
        &["not_found"],
    ),
    writes::<p::PresenceSet, r::Done>(
        "presence.set",
        Call::PresenceSet,
        Roles::AGENT,
        Rate::Write,
        "Chooses presence. Nobody is assigned to an agent who is not online.",
        &[],
    ),
    reads::<p::AgentList, r::AgentPage<'static>>(
        "agent.list",
        Call::AgentList,
        Roles::AGENT,
        Rate::Read,
        "The organisation's agents and their presence.",
        &["not_found"],
    ),
    reads::<p::Page, r::CannedPage<'static>>(
        "canned.list",
        Call::CannedList,
        Roles::AGENT,
        Rate::Read,
        "Canned messages, personal and shared.",
        &[],
    ),
    writes::<p::CannedSet, r::Done>(
        "canned.set",
        Call::CannedSet,
        Roles::AGENT,
        Rate::Write,
        "Makes or replaces a canned message. Shared ones: operators only.",
        &["too_large"],
    ),
    writes::<p::CannedRemove, r::Done>(
        "canned.remove",
        Call::CannedRemove,
        Roles::AGENT,
        Rate::Write,
        "Removes a canned message. Shared ones: operators only.",
        &[],
    ),
    reads::<p::Page, r::TagPage<'static>>(
        "tag.list",
        Call::TagList,
        Roles::AGENT,
        Rate::Read,
        "The tags that the organisation defines.",
        &[],
    ),
];
