//! The sessions that follow one entity, and what each is told.

use std::sync::Arc;

use jono_domain::account::{Audience, Who};
use jono_domain::id::ConversationId;
use jono_domain::notice::Notice;

use crate::delivery::{Delivery, SessionRef, Shared};
use crate::limits::{CATCH_UP_NOTICES_MAX, LED_MAX};

/// One session.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) session: SessionRef,
    pub(crate) who: Who,
    pub(crate) audience: Audience,
    stage: Stage,
    /// Conversations that it was led to by this entity: it leaves them with it.
    led: Vec<ConversationId>,
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

    pub(crate) fn contains(&self, session: SessionRef) -> bool {
        self.0.iter().any(|follower| follower.session == session)
    }

    /// How many follow, customers and agents.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let customers = self.0.iter().filter(|follower| follower.audience == Audience::Customer).count();
        (customers, self.0.len() - customers)
    }

    /// Begins with a session that will be sent everything up to `head`.
    pub(crate) fn add(&mut self, session: SessionRef, who: Who, audience: Audience, head: u64) {
        self.0.push(Follower { session, who, audience, stage: Stage::CatchingUp { head, notices: Vec::new() }, led: Vec::new() });
    }

    /// The session is gone; these are the conversations it was led to. `None` if it was not there.
    pub(crate) fn remove(&mut self, session: SessionRef) -> Option<Vec<ConversationId>> {
        let at = self.0.iter().position(|follower| follower.session == session)?;
        Some(self.0.remove(at).led)
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
            match &mut follower.stage {
                Stage::Live => out.push((follower.session, Delivery::Notice(Arc::clone(notice)))),
                Stage::CatchingUp { notices, .. } if notices.len() < CATCH_UP_NOTICES_MAX => notices.push(Arc::clone(notice)),
                Stage::CatchingUp { .. } => follower.stage = Stage::Lost,
                Stage::Lost => {}
            }
        }
    }

    /// The session has been sent everything up to its head: what was kept meanwhile follows, and from now
    /// on it is told at once. `false` if it is not there any more, or fell behind too far.
    pub(crate) fn caught_up(&mut self, session: SessionRef, out: &mut Vec<(SessionRef, Delivery)>) -> bool {
        let Some(follower) = self.0.iter_mut().find(|follower| follower.session == session) else {
            return false;
        };
        match std::mem::replace(&mut follower.stage, Stage::Live) {
            Stage::CatchingUp { head, notices } => {
                let fresh = notices.into_iter().filter(|notice| is_after(&notice.value, head));
                out.extend(fresh.map(|notice| (session, Delivery::Notice(notice))));
                true
            }
            Stage::Live => true,
            Stage::Lost => false,
        }
    }
}

fn is_for(notice: &Notice, audience: Audience) -> bool {
    match notice {
        Notice::Entry { entry, .. } => entry.is_for(audience),
        _ => true,
    }
}

fn is_after(notice: &Notice, head: u64) -> bool {
    match notice {
        Notice::Entry { entry, .. } => entry.seq > head,
        _ => true,
    }
}
