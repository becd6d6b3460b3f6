//! Owns what becomes of a session when other processes serve what it follows, or the same ones have forgotten that it
//! does: it follows again, from where its client has been told. Clients hear nothing of it but what they missed.

use jono_domain::conversation::{Command, RowState};
use jono_domain::id::ConversationId;
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::reply::{ConversationView, Reply};
use jono_engine::delivery::{Moved, Shared};
use jono_engine::request::{Answer, Outcome};
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_socket::Text;

use super::open::{Context, Open, send_encoded, tell_unfollowed};
use super::party::Party;
use super::render::Render;
use super::replies::Slot;
use crate::wire::id::Id;
use crate::wire::notifications::{QueueRenewed, say};

impl Open {
    /// Others serve these entities now.
    pub(super) fn moved(&mut self, moved: &Moved, context: &mut Context<'_>) {
        self.follow_anew(|what| moved.holds(what) && !is_broken(Rule::SessionsFollowAgain), context);
    }

    /// What is followed may be served by others than when it was.
    pub(super) fn follow_everything_anew(&mut self, context: &mut Context<'_>) {
        self.follow_anew(|_| true, context);
    }

    fn follow_anew(&mut self, is_meant: impl Fn(Address) -> bool, context: &mut Context<'_>) {
        let followed = self.tracks.conversations().map(Address::Conversation);
        let followed = followed.chain(self.subscribed().iter().copied().map(Address::Queue)).chain(self.party.own());
        let meant: Vec<Address> = followed.filter(|what| is_meant(*what) && !self.anew.contains(what)).collect();
        self.anew.extend(meant);
        self.go_on_anew(context);
    }

    /// Asks to follow again, as far as the engine takes it; the next tick goes on.
    pub(super) fn go_on_anew(&mut self, context: &mut Context<'_>) {
        while let Some(what) = self.anew.pop() {
            let after = match what {
                Address::Conversation(conversation) => match self.tracks.get(conversation) {
                    Some(track) => track.sent,
                    None => continue,
                },
                Address::Queue(_) | Address::Organisation(_) | Address::Agent(_) | Address::Customer(_) => 0,
            };
            let reply_to = self.reply_to(context);
            if context.gateway.engine.follow(self.following(what, after, reply_to, context)).is_err() {
                return self.anew.push(what);
            }
            self.wait(true, Slot::SILENT, Render::FollowAnew { what }, context);
            pass(KillPoint::FollowedAnew);
        }
        self.anew = Vec::new();
    }

    /// Whoever led it to a conversation may have been replaced before that arrived, and does not tell it what comes. So it asks to
    /// follow whoever has it now.
    pub(super) fn confirm(&mut self, conversation: ConversationId, context: &mut Context<'_>) {
        if context.gateway.engine.is_alone() {
            return;
        }
        let what = Address::Conversation(conversation);
        let Some(after) = self.tracks.get(conversation).map(|track| track.sent) else { return };
        let reply_to = self.reply_to(context);
        match context.gateway.engine.follow(self.following(what, after, reply_to, context)) {
            Ok(()) => self.wait(true, Slot::SILENT, Render::Confirm { conversation, after }, context),
            // The next tick tries again.
            Err(_) => self.anew.push(what),
        }
    }

    /// It follows, or may not.
    pub(super) fn confirmed(&mut self, (conversation, after): (ConversationId, u64), answer: Answer, context: &mut Context<'_>) {
        match answer {
            Ok(Outcome::Following { state: Reply::Conversation(view), from_seq, .. }) => {
                let Some(sent) = self.tracks.get(conversation).map(|track| track.sent) else { return };
                let is_new_there = from_seq < view.head;
                if self.party.agent().is_some() && view.row.state == RowState::Closed && is_new_there && sent == after {
                    // Whoever gave it had not heard of its end, and the client has heard of nothing else.
                    context.gateway.engine.unfollow(context.session(), Address::Conversation(conversation));
                    if self.tracks.unfollow(conversation) {
                        tell_unfollowed(conversation, context);
                    }
                } else {
                    self.missed(conversation, view.head);
                    self.go_on(context);
                }
            }
            answer => self.follows_anew(Address::Conversation(conversation), answer, context),
        }
    }

    /// It follows again, or may not.
    pub(super) fn follows_anew(&mut self, what: Address, answer: Answer, context: &mut Context<'_>) {
        match (what, answer) {
            (Address::Conversation(conversation), Ok(Outcome::Following { state: Reply::Conversation(view), .. })) => {
                self.conversation_anew(conversation, &view, context);
            }
            (Address::Queue(queue), Ok(Outcome::Following { state: Reply::Queue(summary), .. })) => {
                if self.subscribed().binary_search(&queue).is_ok() {
                    self.tell(Notice::Queue(summary), context);
                    // Rows may have come and gone unseen.
                    context.sink.send(Text::from(say("queue.renewed", &QueueRenewed { queue: Id(queue) })));
                }
            }
            (Address::Organisation(_), Ok(Outcome::Following { .. })) => self.tell(Notice::OrganisationChanged, context),
            (Address::Customer(_), Ok(Outcome::Following { state: Reply::Customer(view), .. })) => {
                self.tell(Notice::Blocked(view.blocked), context);
                self.follow_unknown(view.open, context);
            }
            (Address::Agent(_), Ok(Outcome::Following { state: Reply::Agent(view), .. })) => {
                self.follow_unknown(view.held.into_iter().map(|(conversation, _)| conversation), context);
            }
            // The next tick tries again.
            (what, Err(refusal)) if refusal.is_for_later() => self.anew.push(what),
            (Address::Conversation(conversation), Err(_)) => {
                if self.tracks.unfollow(conversation) {
                    tell_unfollowed(conversation, context);
                }
            }
            // Rights that were taken away are told otherwise.
            (_, Ok(_) | Err(_)) => {}
        }
    }

    fn conversation_anew(&mut self, conversation: ConversationId, view: &ConversationView, context: &mut Context<'_>) {
        if self.tracks.get(conversation).is_none() {
            return;
        }
        self.missed(conversation, view.head);
        // What has no number may have changed too.
        for (by, seq) in &view.marks {
            self.tell(Notice::Receipt { conversation, by: *by, seq: *seq }, context);
        }
        if let (Party::Customer(_), Some(position)) = (&self.party, view.position) {
            self.tell(Notice::Position { conversation, position, wait_ms: view.wait_ms, reason: None }, context);
        }
        self.tell(Notice::Deadline { conversation, deadlines: view.row.deadlines, warning: None }, context);
        self.go_on(context);
    }

    /// What the account was given while nobody could tell it: the account's list is a copy that may be a moment old, so each
    /// conversation is asked.
    fn follow_unknown(&mut self, conversations: impl IntoIterator<Item = ConversationId>, context: &mut Context<'_>) {
        for conversation in conversations {
            if self.tracks.get(conversation).is_none() && self.has_until(conversation).is_none() {
                let order = Order::Conversation(conversation, Box::new(Command::Describe));
                self.send(order, None, Slot::SILENT, Render::PerhapsGiven { conversation }, context);
            }
        }
    }

    /// How a conversation stands that the account may have been given.
    pub(super) fn perhaps_given(&mut self, conversation: ConversationId, answer: Answer, context: &mut Context<'_>) {
        match answer {
            Ok(Outcome::Reply(Reply::Conversation(view))) => {
                if self.party.is_given(&view.row) && self.tracks.get(conversation).is_none() {
                    self.follow_later.push_back((conversation, 0));
                    self.go_on(context);
                }
            }
            // The next tick asks the account once more what it has.
            Err(refusal) if refusal.is_for_later() => {
                let account = self.party.account_address();
                if !self.anew.contains(&account) {
                    self.anew.push(account);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn tell(&self, notice: Notice, context: &mut Context<'_>) {
        send_encoded(&Shared::new(notice), self.party.audience(), context);
    }
}
