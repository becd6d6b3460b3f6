//! The sessions that follow one entity, and what each is told.

use std::sync::Arc;

use jono_domain::account::{Audience, Who};
use jono_domain::id::ConversationId;
use jono_domain::notice::Notice;
use jono_points::{Rule, is_broken};

use crate::delivery::{Delivery, SessionRef, Shared};
use crate::limits::{CATCH_UP_NOTICES_MAX, LED_MAX};
use crate::request::Follow;

/// One session.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) session: SessionRef,
    pub(crate) who: Who,
    pub(crate) audience: Audience,
    /// Tells this following from an earlier one of the same session.
    ticket: u64,
    stage: Stage,
    /// Conversations that it was led to by this entity: it leaves them with it.
    led: Vec<ConversationId>,
    /// It asked for this itself, whoever led it here before.
    has_asked: bool,
}

#[derive(Debug)]
enum Stage {
    /// Is being sent the log up to `head`; what happens meanwhile is kept.
    CatchingUp { head: u64, notices: Vec<Arc<Shared<Notice>>> },
    /// Is told at once.
    Live,
    /// Fell behind while catching up.
    Lost,
}

/// How a session stands that is being sent what it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is waited for.
    Expected,
    /// It fell behind too far.
    Lost,
    /// It has left meanwhile, or was made to.
    Gone,
}

/// All of one entity's followers. They outlive the entity's being loaded.
#[derive(Debug, Default)]
pub(crate) struct Followers(Vec<Follower>);

impl Followers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Follower> {
        self.0.iter()
    }

    /// How many follow, customers and agents.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let customers = self.0.iter().filter(|follower| follower.audience == Audience::Customer).count();
        (customers, self.0.len() - customers)
    }

    /// Begins with a session that will be sent everything up to `head`; the ticket is for the end of that.
    pub(crate) fn add(&mut self, ticket: u64, follow: &Follow, audience: Audience, head: u64, unasked: bool) {
        let (session, who, has_asked) = (follow.session, follow.who, !unasked);
        let stage = Stage::CatchingUp { head, notices: Vec::new() };
        // Most have one follower: a vector's first growth would take room for four.
        self.0.reserve_exact(1);
        self.0.push(Follower { session, who, audience, ticket, stage, led: Vec::new(), has_asked });
    }

    /// The request of a session that follows already: `None` if it does not. Otherwise whether it is told at once: before it has
    /// been sent what it missed, it is not known that it will follow, since the log may not be readable.
    pub(crate) fn again(&mut self, session: SessionRef, unasked: bool) -> Option<bool> {
        let follower = self.0.iter_mut().find(|follower| follower.session == session)?;
        follower.has_asked |= !unasked;
        Some(matches!(follower.stage, Stage::Live))
    }

    /// The session is gone, or, with `is_led`, is not led here any more, and did not ask for this itself; these are the
    /// conversations that it was led to. `None` if it was not there, or stays.
    pub(crate) fn remove(&mut self, session: SessionRef, is_led: bool) -> Option<Vec<ConversationId>> {
        let at = self.0.iter().position(|follower| follower.session == session && !(is_led && follower.has_asked))?;
        Some(self.0.remove(at).led)
    }

    /// The sessions of a process that is gone, each with the conversations that it was led to; `None` if there were none.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(SessionRef) -> bool) -> Option<Vec<(SessionRef, Vec<ConversationId>)>> {
        let mut gone = Vec::new();
        self.0.retain_mut(|follower| {
            let is_gone = is_gone(follower.session);
            if is_gone {
                gone.push((follower.session, std::mem::take(&mut follower.led)));
            }
            !is_gone
        });
        (!gone.is_empty()).then_some(gone)
    }

    /// Ends the following that this ticket is for, as [`Followers::remove`] does.
    pub(crate) fn remove_ticket(&mut self, ticket: u64) -> Option<Vec<ConversationId>> {
        let at = self.0.iter().position(|follower| follower.ticket == ticket)?;
        Some(self.0.remove(at).led)
    }

    /// How the following stands that this ticket is for.
    pub(crate) fn standing(&self, ticket: u64) -> Standing {
        match self.0.iter().find(|follower| follower.ticket == ticket).map(|follower| &follower.stage) {
            Some(Stage::CatchingUp { .. } | Stage::Live) => Standing::Expected,
            Some(Stage::Lost) => Standing::Lost,
            None => Standing::Gone,
        }
    }

    /// The session keeps what it was led to when it begins anew; gives that back if it did not begin.
    pub(crate) fn inherit(&mut self, session: SessionRef, led: Vec<ConversationId>) -> Vec<ConversationId> {
        match self.0.iter_mut().find(|follower| follower.session == session) {
            Some(follower) => {
                follower.led = led;
                Vec::new()
            }
            None => led,
        }
    }

    /// Every session is led to that conversation.
    pub(crate) fn lead(&mut self, conversation: ConversationId) {
        for follower in &mut self.0 {
            if !follower.led.contains(&conversation) {
                if follower.led.len() == LED_MAX {
                    follower.led.remove(0);
                }
                follower.led.push(conversation);
            }
        }
    }

    /// Who was led to which of these conversations.
    pub(crate) fn led(&self, is_meant: impl Fn(ConversationId) -> bool) -> Vec<(SessionRef, Who, ConversationId)> {
        let led = self.0.iter().flat_map(|follower| follower.led.iter().map(|led| (follower.session, follower.who, *led)));
        led.filter(|(.., led)| is_meant(*led)).collect()
    }

    /// Tells everybody who may know.
    pub(crate) fn publish(
        &mut self,
        audience: Option<Audience>,
        notice: &Arc<Shared<Notice>>,
        out: &mut Vec<(SessionRef, Delivery)>,
    ) {
        for follower in &mut self.0 {
            if audience.is_some_and(|audience| audience != follower.audience) || !is_for(&notice.value, follower.audience) {
                continue;
            }
            if is_broken(Rule::FollowersAreTold) && is_odd(&notice.value) {
                continue;
            }
            match &mut follower.stage {
                Stage::Live => out.push((follower.session, Delivery::Notice(Arc::clone(notice)))),
                Stage::CatchingUp { notices, .. } if notices.len() < CATCH_UP_NOTICES_MAX => notices.push(Arc::clone(notice)),
                Stage::CatchingUp { .. } => follower.stage = Stage::Lost,
                Stage::Lost => {}
            }
        }
    }

    /// The session has been sent everything up to its head: what was kept meanwhile follows, and from now
    /// on it is told at once.
    pub(crate) fn caught_up(&mut self, ticket: u64, out: &mut Vec<(SessionRef, Delivery)>) {
        let Some(follower) = self.0.iter_mut().find(|follower| follower.ticket == ticket) else { return };
        if let Stage::CatchingUp { head, notices } = std::mem::replace(&mut follower.stage, Stage::Live) {
            let fresh = notices.into_iter().filter(|notice| is_after(&notice.value, head));
            out.extend(fresh.map(|notice| (follower.session, Delivery::Notice(notice))));
        }
    }
}

fn is_for(notice: &Notice, audience: Audience) -> bool {
    match notice {
        Notice::Entry { entry, .. } => entry.is_for(audience),
        _ => true,
    }
}

/// Of the events that a test loses, every other one: what reveals a hole is the event behind it.
fn is_odd(notice: &Notice) -> bool {
    matches!(notice, Notice::Entry { entry, .. } if entry.seq % 2 == 1)
}

fn is_after(notice: &Notice, head: u64) -> bool {
    match notice {
        Notice::Entry { entry, .. } => entry.seq > head,
        _ => true,
    }
}
