//! The vocabulary that every machine speaks.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::account::{Audience, Who};
use crate::id::OrganisationId;
use crate::message::{Effect, IndexChange};
use crate::organisation::Organisation;
use crate::reply::{Refusal, Reply};
use crate::time::Time;

/// What a decision may look at besides the state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The moment of the decision.
    pub now: Time,
    /// Whose credential asks.
    pub who: Who,
    /// The organisation's settings as this process knows them; a copy that may be a moment old.
    pub organisation: Option<&'a Organisation>,
}

impl<'a> Context<'a> {
    /// The settings of this organisation, if they are the ones at hand. Those of another say nothing (G11).
    #[must_use]
    pub fn settings_of(&self, id: OrganisationId) -> Option<&'a Organisation> {
        self.organisation.filter(|organisation| organisation.id == id)
    }
}

/// How long an event lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Appended to the entity's log with a sequence number; `evolve` brings the state back from it.
    Logged,
    /// Part of the state that must survive, but of no history: the next commit carries a snapshot.
    Kept,
    /// Gone when the entity is unloaded: nothing is committed for it.
    Passing,
}

/// A deterministic state machine. The shell around it stores the events, then carries out the effects.
///
/// An effect may be carried out twice (after a crash), so every receiver tolerates that.
pub trait Machine: Clone + Default + Serialize + DeserializeOwned + 'static {
    /// What names one of these.
    type Id: Copy;
    /// What can be asked of it.
    type Command: Clone;
    /// What has happened. `Logged` ones are stored, so they are serialisable.
    type Event: Clone + Serialize + DeserializeOwned;

    /// What would happen. Reads only.
    ///
    /// # Errors
    /// A refusal: a legal no.
    fn decide(&self, id: Self::Id, command: &Self::Command, context: &Context<'_>) -> Result<Vec<Self::Event>, Refusal>;

    /// Makes it so. Never fails, never judges.
    fn evolve(&mut self, event: &Self::Event);

    /// What must be told to others, now that it is so (`self` is the state after all events of the step).
    fn react(&self, id: Self::Id, event: &Self::Event) -> Vec<Effect>;

    /// The answer to a command that was accepted (`self` is the state after its events).
    /// `None` when another entity answers: the command was forwarded.
    fn answer(&self, id: Self::Id, command: &Self::Command, events: &[Self::Event], context: &Context<'_>) -> Option<Reply>;

    /// When `expire` has something to say.
    fn next_deadline(&self) -> Option<Time>;

    /// What has become due. Called again until it has nothing to say.
    fn expire(&self, id: Self::Id, now: Time) -> Vec<Self::Event>;

    /// How long the event lasts.
    fn weight(event: &Self::Event) -> Weight;

    /// Changes of stored lists that go with the event (`self` is the state after all events of the step).
    fn index(&self, _id: Self::Id, _event: &Self::Event) -> Vec<IndexChange> {
        Vec::new()
    }

    /// What to do after loading, before anything else: settings that changed meanwhile, connections
    /// that are gone, and announcements to others who may have forgotten.
    fn recovered(&self, id: Self::Id, context: &Context<'_>) -> (Vec<Self::Event>, Vec<Effect>);

    /// What others should know of it, in full: they are told again when they may have forgotten, another process having
    /// taken them over.
    fn announce(&self, _id: Self::Id) -> Vec<Effect> {
        Vec::new()
    }

    /// Whether sessions of this credential may follow the entity, and as which audience.
    ///
    /// # Errors
    /// A refusal; [`Refusal::NotFound`] also for what belongs to others.
    fn admit(&self, id: Self::Id, context: &Context<'_>) -> Result<Audience, Refusal>;

    /// What a session is told of the state when it begins to follow, and when it asks.
    fn describe(&self, id: Self::Id, audience: Audience, context: &Context<'_>) -> Reply;

    /// The command that tells the machine how many sessions of each audience follow it now, if it cares.
    fn followed(_customers: usize, _agents: usize) -> Option<Self::Command> {
        None
    }

    /// Does it matter to the state, as it is, who follows? If so it stays loaded while anybody does.
    fn minds_followers(&self) -> bool {
        false
    }

    /// Whose it is, where the state knows; a queue or an agent is looked up in the settings instead.
    fn organisation(&self) -> Option<OrganisationId> {
        None
    }

    /// Must it come back at start by itself, having deadlines or a place in a list?
    fn is_live(&self) -> bool;
}
