//! Who may see and change a conversation.

use jono_points::{Rule, is_broken};

use super::{Conversation, Phase};
use crate::account::{Audience, Role, Who};
use crate::id::AgentId;
use crate::machine::Context;
use crate::reply::Refusal;
use crate::time::Time;

impl Conversation {
    /// As which audience this credential sees the conversation. What belongs to others is not found (G11).
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn audience(&self, context: &Context<'_>) -> Result<Audience, Refusal> {
        let Some(about) = &self.about else {
            return Err(Refusal::NotFound);
        };
        match context.who {
            Who::Customer(..) | Who::Agent(..) if is_broken(Rule::StrangersFindNothing) => Ok(Audience::Agent),
            Who::Customer(organisation, customer) if organisation == about.organisation && customer == about.customer => {
                Ok(Audience::Customer)
            }
            Who::Agent(organisation, agent) if organisation == about.organisation && self.is_visible_to(agent, context) => {
                Ok(Audience::Agent)
            }
            Who::Engine => Ok(Audience::Agent),
            Who::Customer(..) | Who::Agent(..) | Who::Root => Err(Refusal::NotFound),
        }
    }

    fn is_visible_to(&self, agent: AgentId, context: &Context<'_>) -> bool {
        let settings = self.about.and_then(|about| context.settings_of(about.organisation));
        let Some(account) = settings.and_then(|organisation| organisation.account(agent)) else {
            return false;
        };
        account.role == Role::Operator || account.queues.contains(&self.queue()) || self.life.holder() == Some(agent)
    }

    /// The asking agent, who may see the conversation.
    pub(super) fn agent(&self, context: &Context<'_>) -> Result<AgentId, Refusal> {
        self.audience(context)?;
        match context.who {
            Who::Agent(_, agent) => Ok(agent),
            Who::Customer(..) | Who::Root | Who::Engine => Err(Refusal::Forbidden),
        }
    }

    /// The conversation is waiting or active.
    pub(super) fn open(&self) -> Result<(), Refusal> {
        match self.life.phase {
            Phase::Waiting | Phase::Active { .. } => Ok(()),
            Phase::Nothing => Err(Refusal::NotFound),
            Phase::Closed { .. } => Err(Refusal::ConversationClosed),
        }
    }

    /// The agent writes under its claim (L4): the number given is the one in force and the agent its
    /// holder. Without a number, holding the claim is enough.
    pub(super) fn holding(&self, agent: AgentId, claim: Option<u64>) -> Result<(), Refusal> {
        self.open()?;
        let holder = self.life.holder();
        match claim {
            Some(claim) if claim == self.life.claim && holder == Some(agent) => Ok(()),
            Some(_) => Err(Refusal::ClaimLost { holder, claim: self.life.claim }),
            None if holder == Some(agent) => Ok(()),
            None => match holder {
                Some(holder) => Err(Refusal::ClaimHeld { holder, release_at: self.life.deadlines().release_at }),
                None => Err(Refusal::conflict("claim the conversation first")),
            },
        }
    }

    /// Who may move a conversation: its holder; while nobody holds it, every agent of the queue.
    pub(super) fn movable_by(&self, agent: AgentId, claim: Option<u64>) -> Result<(), Refusal> {
        self.open()?;
        if claim.is_none() && self.life.holder().is_none() { Ok(()) } else { self.holding(agent, claim) }
    }

    /// Tags, notes and the like: while it is open, and for some hours after (L11).
    pub(super) fn editable(&self, now: Time) -> Result<(), Refusal> {
        match self.life.phase {
            Phase::Closed { at, .. } if now > at + self.life.policy.edit_after_close_ms => Err(Refusal::ConversationClosed),
            Phase::Nothing => Err(Refusal::NotFound),
            Phase::Waiting | Phase::Active { .. } | Phase::Closed { .. } => Ok(()),
        }
    }
}
