//! Redis: the shard's records under its epoch, and what the processes say of themselves.

use crate::talk::{Entry, Talk};

/// One write under one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit {
    /// The writer's epoch.
    pub epoch: u8,
    /// Where the log must end.
    pub expected: u8,
    /// What is appended.
    pub entry: Entry,
}

/// What the store says of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Stored.
    Applied,
    /// Another owner has the shard.
    Fenced,
    /// The log ends elsewhere.
    Conflict,
}

/// The records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// Of the last owner.
    pub epoch: u8,
    /// As it is stored.
    pub talk: Talk,
    /// Commits that nobody waits for any more and that may still arrive; with the process that could settle them.
    pub swamp: Vec<(Option<u8>, Commit)>,
}

impl Store {
    /// What would become of that commit.
    #[must_use]
    pub fn judge(&self, commit: &Commit, fences: bool) -> Outcome {
        if fences && commit.epoch != self.epoch {
            Outcome::Fenced
        } else if commit.expected != self.talk.entries {
            Outcome::Conflict
        } else {
            Outcome::Applied
        }
    }

    /// Nothing that this process gave up is applied from now on.
    pub fn settle(&mut self, engine: usize) {
        self.swamp.retain(|(writer, _)| *writer != Some(engine as u8));
    }

    /// Leaves out what can only be refused, whenever it arrives: epochs and logs only grow.
    pub fn drain(&mut self, fences: bool) {
        let swamp = std::mem::take(&mut self.swamp);
        self.swamp = swamp.into_iter().filter(|(_, commit)| self.judge(commit, fences) == Outcome::Applied).collect();
        self.swamp.sort();
    }
}

/// Who owns the shard, as its owner has published it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// 0: it was given back.
    pub node: u8,
    /// Under which epoch.
    pub epoch: u8,
}

impl Owner {
    /// Hears of an owner: a later one counts, or that it was given back.
    pub fn hear(&mut self, owner: Owner) {
        if owner.epoch > self.epoch || (owner.epoch == self.epoch && owner.node == 0) {
            *self = owner;
        }
    }
}

/// A process that has joined and was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its number, never given twice.
    pub node: u8,
    /// It has beaten since that engine's last picture.
    pub beat_for: [bool; 2],
}

/// What an engine is told when it beats.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Picture {
    /// The beat was sent so many ticks ago.
    pub age: i8,
    /// The others, and whether they have beaten since the picture before. `None`: the asker is no member any more.
    pub others: Option<Vec<(u8, bool)>>,
    /// As published.
    pub owner: Owner,
}

/// Members and owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Who is there.
    pub members: Vec<Member>,
    /// The last number that was given.
    pub last_node: u8,
    /// As published.
    pub owner: Owner,
}

impl Exchange {
    /// A new member.
    pub fn join(&mut self) -> u8 {
        self.last_node += 1;
        self.members.push(Member { node: self.last_node, beat_for: [false; 2] });
        self.last_node
    }

    /// A beat; says whether it is a member.
    pub fn beat(&mut self, node: u8) -> bool {
        let member = self.members.iter_mut().find(|member| member.node == node);
        member.is_some_and(|member| {
            member.beat_for = [true; 2];
            true
        })
    }

    /// What that engine is told.
    pub fn picture(&mut self, engine: usize, node: u8) -> Picture {
        let mut others = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            let has_beaten = std::mem::take(&mut member.beat_for[engine]);
            if member.node != node {
                others.push((member.node, has_beaten));
            }
        }
        Picture { age: 0, others: Some(others), owner: self.owner }
    }
}
