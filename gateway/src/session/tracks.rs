//! Owns how far the client has been told each conversation that it follows: exactly once, in order,
//! without a hole (G3), also when deliveries come twice or the peer reads slowly.

use jono_domain::id::ConversationId;
use jono_points::{Rule, is_broken};

/// One followed conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    conversation: ConversationId,
    /// The last event that was sent, or from which on the client was promised to be told.
    pub(super) sent: u64,
    /// Live events are not sent: the log is read from `sent` on first. The last event heard of.
    pub(super) behind: Option<u64>,
}

/// What to do with a live event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the next one.
    Send,
    /// It was sent, or will be read from the log.
    Skip,
    /// Something is missing before it: the log must be read.
    FallBehind,
}

/// All followed conversations, by id.
#[derive(Default)]
pub(super) struct Tracks {
    all: Vec<Track>,
}

impl Tracks {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, conversation: ConversationId) -> Option<&Track> {
        self.at(conversation).ok().map(|at| &self.all[at])
    }

    pub(super) fn get_mut(&mut self, conversation: ConversationId) -> Option<&mut Track> {
        self.at(conversation).ok().map(|at| &mut self.all[at])
    }

    /// Follows from this event on. What is followed already stays as it is.
    pub(super) fn follow(&mut self, conversation: ConversationId, from_seq: u64) -> bool {
        match self.at(conversation) {
            Ok(_) => false,
            Err(at) => {
                self.all.insert(at, Track { conversation, sent: from_seq, behind: None });
                true
            }
        }
    }

    pub(super) fn unfollow(&mut self, conversation: ConversationId) -> bool {
        let Ok(at) = self.at(conversation) else {
            return false;
        };
        self.all.remove(at);
        true
    }

    pub(super) fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.all.iter().map(|track| track.conversation)
    }

    fn at(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.all.binary_search_by_key(&conversation, |track| track.conversation)
    }
}

impl Track {
    /// A live event came; `prev` is the one before it that this audience may see.
    pub(super) fn hear(&mut self, seq: u64, prev: u64) -> Step {
        if let Some(heard) = &mut self.behind {
            *heard = (*heard).max(seq);
            Step::Skip
        } else if seq <= self.sent && !is_broken(Rule::EventsAreSentOnce) {
            Step::Skip
        } else if prev > self.sent && !is_broken(Rule::HolesAreFilled) {
            Step::FallBehind
        } else {
            Step::Send
        }
    }

    /// The log is read from `sent` on, at least up to `seq`. Says whether it was not being read before.
    pub(super) fn fall_behind(&mut self, seq: u64) -> bool {
        let was_live = self.behind.is_none();
        self.behind = Some(self.behind.unwrap_or(0).max(seq));
        was_live
    }

    /// The log has nothing for this client between `sent` and its head, asked when `heard` was the last heard
    /// of: what was heard of by then is not for it. What was heard since is still to be read.
    pub(super) fn found_nothing(&mut self, head: u64, heard: Option<u64>) {
        self.sent = self.sent.max(head);
        if self.behind == heard {
            self.behind = Some(0);
        }
    }

    /// A page of the log was sent up to `sent`, and the log's head is `head`. Live again?
    pub(super) fn caught_up(&mut self, head: u64) -> bool {
        let is_complete = self.sent >= head.max(self.behind.unwrap_or(0));
        if is_complete {
            self.behind = None;
        }
        is_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_once_in_order_and_holes_are_filled_from_the_log() {
        let id = ConversationId::from_bits(1);
        let mut tracks = Tracks::default();
        assert!(tracks.follow(id, 5));
        assert!(!tracks.follow(id, 0), "what is followed stays as it is");
        let track = tracks.get_mut(id).unwrap();
        assert_eq!(track.hear(5, 4), Step::Skip);
        assert_eq!(track.hear(6, 5), Step::Send);
        track.sent = 6;
        assert_eq!(track.hear(9, 6), Step::Send, "numbers between may be for others");
        assert_eq!(track.hear(9, 8), Step::FallBehind);
        assert!(track.fall_behind(9));
        assert!(!track.fall_behind(9));
        assert_eq!(track.hear(10, 9), Step::Skip);
        track.sent = 9;
        assert!(!track.caught_up(9), "10 was heard of");
        track.sent = 10;
        assert!(track.caught_up(9));
        assert_eq!(track.hear(11, 10), Step::Send);
        assert!(tracks.unfollow(id));
        assert!(!tracks.unfollow(id));
    }
}
