//! Who speaks when: maps the agents of a script to agent sessions, decides how a conversation passes
//! from one to the next, and which extras happen. Pure: the same seed, script and first agent give the same plan.

use crate::corpus::{Script, Speaker};
use crate::dice::Dice;

/// Shares, in percent of the turns or conversations they belong to.
const TYPING_PERCENT: u64 = 20;
const READ_PERCENT: u64 = 30;
const NOTE_PERCENT: u64 = 8;
const TAG_PERCENT: u64 = 5;
const METADATA_PERCENT: u64 = 4;
const LEAVE_PERCENT: u64 = 50;
const RATE_PERCENT: u64 = 40;
const TALK_EARLY_PERCENT: u64 = 50;
const RELEASE_PERCENT: u64 = 50;

/// How a conversation passes to another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// The holder assigns it.
    Assign,
    /// The holder releases it, and the other claims it.
    Release,
}

/// Who says a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Customer,
    Agent {
        session: usize,
        /// How to get the claim, if another account has it.
        passing: Passing,
    },
}

/// One turn, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Of the script.
    pub turn: usize,
    pub says: Says,
    /// The speaker is typing first.
    pub typing: bool,
    /// The other side says that it has read it.
    pub read: bool,
    /// An agent writes a note afterwards; any agent of the queue may.
    pub note_by: Option<usize>,
    /// A tag is set, or taken away again.
    pub tag: bool,
    /// The customer's page tells something new.
    pub metadata: bool,
}

/// What is known of a conversation's course before anybody has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The customer's turns that are said before anybody answers; the first one comes with the start.
    pub early: usize,
    /// The customer leaves in the end; else the agent closes.
    pub customer_leaves: bool,
    /// 1 to 5.
    pub rating: Option<u8>,
    /// After this turn the customer's connection falls.
    pub drop_after: Option<usize>,
    seed: u64,
    number: u64,
}

impl Plan {
    /// Of the conversation with this number. `drop_percent`: customers whose connection falls once.
    pub fn new(script: &Script, seed: u64, number: u64, drop_percent: u64) -> Self {
        let mut dice = Dice::new(seed, number);
        let leading = script.turns.iter().take_while(|turn| turn.speaker == Speaker::Customer).count();
        Self {
            early: if dice.percent(TALK_EARLY_PERCENT) { leading } else { 1 },
            customer_leaves: dice.percent(LEAVE_PERCENT),
            rating: dice.percent(RATE_PERCENT).then(|| 1 + dice.below(5) as u8),
            drop_after: dice.percent(drop_percent).then(|| dice.below(script.turns.len() as u64) as usize),
            seed,
            number,
        }
    }

    /// The turns after the early ones, once the session `first` has taken the conversation. The script's
    /// agents follow each other through the sessions, so that neighbours are different accounts where
    /// sessions alternate between them; with fewer sessions than agents they begin again.
    pub fn steps(&self, script: &Script, first: usize, sessions: usize) -> Vec<Step> {
        let mut dice = Dice::new(self.seed, self.number ^ (1 << 63));
        let step = |turn: usize| {
            let says = match script.turns[turn].speaker {
                Speaker::Customer => Says::Customer,
                Speaker::Agent(agent) => Says::Agent {
                    session: (first + agent) % sessions,
                    passing: if dice.percent(RELEASE_PERCENT) { Passing::Release } else { Passing::Assign },
                },
            };
            let noter = dice.below(sessions as u64) as usize;
            Step {
                turn,
                says,
                typing: dice.percent(TYPING_PERCENT),
                read: dice.percent(READ_PERCENT),
                note_by: dice.percent(NOTE_PERCENT).then_some(noter),
                tag: dice.percent(TAG_PERCENT),
                metadata: dice.percent(METADATA_PERCENT),
            }
        };
        (self.early..script.turns.len()).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Turn;

    fn script(speakers: &[Speaker]) -> Script {
        let turn = |speaker: &Speaker| Turn { at_s: 0.0, speaker: *speaker, text: "x".into() };
        Script { id: "s".into(), source: String::new(), start_s: 0.0, turns: speakers.iter().map(turn).collect() }
    }

    fn sessions_of(plan: &Plan, script: &Script, first: usize, sessions: usize) -> Vec<Option<usize>> {
        let session = |step: &Step| match step.says {
            Says::Customer => None,
            Says::Agent { session, .. } => Some(session),
        };
        plan.steps(script, first, sessions).iter().map(session).collect()
    }

    #[test]
    fn the_picking_session_is_the_first_agent_and_the_others_fold_onto_what_there_is() {
        use Speaker::{Agent, Customer};
        let script = script(&[Customer, Agent(0), Agent(1), Customer, Agent(2), Agent(0)]);
        let plan = Plan::new(&script, 1, 1, 0);
        assert_eq!(plan.early, 1);
        assert_eq!(sessions_of(&plan, &script, 5, 8), [Some(5), Some(6), None, Some(7), Some(5)]);
        assert_eq!(sessions_of(&plan, &script, 1, 2), [Some(1), Some(0), None, Some(1), Some(1)]);
        assert_eq!(sessions_of(&plan, &script, 0, 1), [Some(0), Some(0), None, Some(0), Some(0)]);
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let script = script(&[Speaker::Customer; 9]);
        let course = |seed, number| {
            let plan = Plan::new(&script, seed, number, 50);
            (plan.steps(&script, 0, 4), plan)
        };
        assert_eq!(course(1, 2), course(1, 2));
        assert!((0..50).any(|seed| course(seed, 2) != course(seed + 1, 2)));
    }

    #[test]
    fn the_early_turns_are_the_customers_and_the_steps_are_all_others() {
        let script = script(&[Speaker::Customer, Speaker::Customer, Speaker::Agent(0), Speaker::Customer]);
        for number in 0..50 {
            let plan = Plan::new(&script, 9, number, 0);
            assert!(plan.early == 1 || plan.early == 2);
            let turns: Vec<_> = plan.steps(&script, 0, 1).iter().map(|step| step.turn).collect();
            assert_eq!(turns, (plan.early..4).collect::<Vec<_>>());
        }
    }
}
