//! The ledger of one conversation: which messages were sent, acknowledged and shown, and to whom. Pure; it finds what was lost, repeated, out of
//! order, or shown to somebody whose it is not.

use std::collections::VecDeque;

use crate::target::{Side, Tag};

/// Who is shown messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    Customer,
    /// The agent that holds it.
    Holder,
}

/// One message on its way.
#[derive(Clone, Copy, Debug)]
struct Message {
    intended_ns: u64,
    /// When it left first; 0 if it has not.
    sent_ns: u64,
    phase: u16,
    acknowledged: bool,
    delivered: bool,
    /// The server did not take it.
    refused: bool,
}

impl Message {
    fn is_done(&self) -> bool {
        self.refused || (self.acknowledged && self.delivered)
    }
}

/// The messages of one side.
#[derive(Debug, Default)]
struct Flow {
    /// The number of the first message in `open`; all before are done.
    base: u32,
    open: VecDeque<Message>,
    /// For the customer and the holder: the number after the highest that was shown.
    next: [u32; 2],
}

/// A time that can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Where it counts.
    pub phase: u16,
    /// From the intended time.
    pub corrected_ns: u64,
    /// From when it left.
    pub service_ns: u64,
}

/// What an acknowledgement or a delivery turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The first time, as it should be.
    First(Taken),
    /// Known, as it should be: one's own message, or history for a new holder.
    Known,
    /// Shown a second time to the same viewer.
    Repeated,
    /// The first time, but a later one was shown before.
    Disorder(Taken),
    /// Never sent, or by somebody else.
    Foreign,
    /// Acknowledged twice.
    AcknowledgedTwice,
    /// Refused, and shown all the same.
    ShownThoughRefused,
}

/// A message that has not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    /// How long it has been under way.
    pub taken: Taken,
    pub left: bool,
    pub acknowledged: bool,
    pub delivered: bool,
}

/// What is still open at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// Acknowledged and not shown to the other side.
    pub lost: u64,
    /// Sent, and neither acknowledged nor refused.
    pub unanswered: u64,
    /// Never left, since there was no connection.
    pub unsent: u64,
}

/// Both sides of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    flows: [Flow; 2],
}

fn side_index(side: Side) -> usize {
    match side {
        Side::Customer => 0,
        Side::Agent | Side::Note => 1,
    }
}

fn viewer_index(viewer: Viewer) -> usize {
    match viewer {
        Viewer::Customer => 0,
        Viewer::Holder => 1,
    }
}

impl Ledger {
    /// A new message; answers its number.
    pub fn intend(&mut self, side: Side, intended_ns: u64, phase: u16) -> u32 {
        let flow = &mut self.flows[side_index(side)];
        let number = flow.base + flow.open.len() as u32;
        let message = Message { intended_ns, sent_ns: 0, phase, acknowledged: false, delivered: false, refused: false };
        flow.open.push_back(message);
        number
    }

    /// It has left. Answers how much later than intended, the first time.
    pub fn sent(&mut self, side: Side, number: u32, now_ns: u64) -> Option<u64> {
        let flow = &mut self.flows[side_index(side)];
        let message = flow.open.get_mut(number.checked_sub(flow.base)? as usize)?;
        if message.sent_ns != 0 {
            return None;
        }
        message.sent_ns = now_ns;
        Some(now_ns.saturating_sub(message.intended_ns))
    }

    /// Messages of a side that the server has not answered, oldest first, with whether each has left before.
    pub fn unanswered(&self, side: Side) -> impl Iterator<Item = (u32, bool)> + '_ {
        let flow = &self.flows[side_index(side)];
        let unanswered = flow.open.iter().enumerate().filter(|(_, message)| !message.acknowledged && !message.refused);
        unanswered.map(|(at, message)| (flow.base + at as u32, message.sent_ns != 0))
    }

    /// The server has said that it is stored.
    pub fn acknowledged(&mut self, side: Side, number: u32, now_ns: u64) -> Finding {
        let flow = &mut self.flows[side_index(side)];
        if number < flow.base {
            return Finding::AcknowledgedTwice;
        }
        let Some(message) = flow.open.get_mut((number - flow.base) as usize).filter(|message| message.sent_ns != 0) else {
            return Finding::Foreign;
        };
        if message.acknowledged {
            return Finding::AcknowledgedTwice;
        }
        message.acknowledged = true;
        let taken = taken(message, now_ns);
        flow.settle();
        Finding::First(taken)
    }

    /// The server has refused it. Answers whether it was under way.
    pub fn refused(&mut self, side: Side, number: u32) -> bool {
        let flow = &mut self.flows[side_index(side)];
        let at = number.checked_sub(flow.base).map(|at| at as usize);
        let Some(message) = at.and_then(|at| flow.open.get_mut(at)).filter(|message| !message.acknowledged) else {
            return false;
        };
        message.refused = true;
        flow.settle();
        true
    }

    /// A viewer was shown a message. Without `echo` a viewer's own messages come back too; with it they are the delivery.
    pub fn shown(&mut self, viewer: Viewer, tag: Tag, now_ns: u64, echo: bool) -> Finding {
        let flow = &mut self.flows[side_index(tag.side)];
        let next = &mut flow.next[viewer_index(viewer)];
        let before = *next;
        *next = before.max(tag.number + 1);
        let own = !echo && side_index(tag.side) == viewer_index(viewer);
        let Some(at) = tag.number.checked_sub(flow.base) else {
            return if tag.number < before { Finding::Repeated } else { Finding::Known };
        };
        let Some(message) = flow.open.get_mut(at as usize).filter(|message| message.sent_ns != 0) else {
            *next = before;
            return Finding::Foreign;
        };
        if message.refused {
            return Finding::ShownThoughRefused;
        }
        if own || message.delivered {
            return if tag.number < before { Finding::Repeated } else { Finding::Known };
        }
        message.delivered = true;
        let taken = taken(message, now_ns);
        flow.settle();
        if tag.number < before { Finding::Disorder(taken) } else { Finding::First(taken) }
    }

    /// Another agent holds it now: it will be shown everything from the beginning.
    pub fn new_holder(&mut self) {
        for flow in &mut self.flows {
            flow.next[viewer_index(Viewer::Holder)] = 0;
        }
    }

    /// A viewer was told that it has missed something, or the target never promised to send it: what was acknowledged and not shown is no loss.
    /// Answers how many messages that concerns.
    pub fn excuse(&mut self, viewer: Viewer) -> u64 {
        let flow = &mut self.flows[1 - viewer_index(viewer)];
        let mut excused = 0;
        for message in flow.open.iter_mut().filter(|message| message.acknowledged && !message.delivered) {
            message.delivered = true;
            excused += 1;
        }
        flow.settle();
        excused
    }

    /// Nothing is under way.
    pub fn is_settled(&self) -> bool {
        self.flows.iter().all(|flow| flow.open.is_empty())
    }

    /// The first messages that left and never came to their end, in words.
    pub fn left_open(&self) -> String {
        let mut words = Vec::new();
        for (side, flow) in [Side::Customer, Side::Agent].into_iter().zip(&self.flows) {
            let left = flow.open.iter().enumerate().filter(|(_, message)| !message.is_done() && message.sent_ns != 0);
            words.extend(left.take(3).map(|(at, message)| {
                let what = match (message.acknowledged, message.delivered) {
                    (true, _) => "acknowledged and never shown",
                    (false, true) => "shown and never acknowledged",
                    (false, false) => "neither acknowledged nor shown",
                };
                format!("message {} of {side:?} {what}", flow.base + at as u32)
            }));
        }
        words.join(", ")
    }

    /// Messages that have not come to their end, with how late they are already.
    pub fn late(&self, now_ns: u64) -> impl Iterator<Item = Late> + '_ {
        let open = self.flows.iter().flat_map(|flow| &flow.open).filter(|message| !message.is_done());
        open.map(move |message| Late {
            taken: taken(message, now_ns),
            left: message.sent_ns != 0,
            acknowledged: message.acknowledged,
            delivered: message.delivered,
        })
    }

    /// What never came to its end.
    pub fn open(&self) -> Open {
        let mut open = Open::default();
        for message in self.flows.iter().flat_map(|flow| &flow.open).filter(|message| !message.is_done()) {
            match (message.acknowledged, message.sent_ns) {
                (true, _) => open.lost += 1,
                (false, 0) => open.unsent += 1,
                (false, _) => open.unanswered += 1,
            }
        }
        open
    }
}

impl Flow {
    fn settle(&mut self) {
        while self.open.front().is_some_and(Message::is_done) {
            self.open.pop_front();
            self.base += 1;
        }
        // A burst must not leave its memory on every conversation.
        if self.open.is_empty() && self.open.capacity() > 16 {
            self.open = VecDeque::new();
        }
    }
}

fn taken(message: &Message, now_ns: u64) -> Taken {
    Taken {
        phase: message.phase,
        corrected_ns: now_ns.saturating_sub(message.intended_ns),
        service_ns: now_ns.saturating_sub(message.sent_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOMER: Side = Side::Customer;

    fn tag(number: u32) -> Tag {
        Tag { run: 1, conversation: 0, number, side: CUSTOMER }
    }

    /// A ledger with so many messages of the customer sent at 10, 20, ... and intended one earlier.
    fn sent(count: u32) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0..count {
            let at = u64::from(number + 1) * 10;
            assert_eq!(ledger.intend(CUSTOMER, at - 1, 0), number);
            assert_eq!(ledger.sent(CUSTOMER, number, at), Some(1));
        }
        ledger
    }

    fn first(corrected_ns: u64) -> Finding {
        Finding::First(Taken { phase: 0, corrected_ns, service_ns: corrected_ns - 1 })
    }

    #[test]
    fn times_count_from_the_intended_time() {
        let mut ledger = sent(1);
        assert_eq!(ledger.acknowledged(CUSTOMER, 0, 15), first(6));
        assert_eq!(ledger.shown(Viewer::Holder, tag(0), 17, false), first(8));
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_message_that_never_comes_is_lost_and_one_without_an_answer_is_unanswered() {
        let mut ledger = sent(3);
        ledger.intend(CUSTOMER, 99, 0);
        ledger.acknowledged(CUSTOMER, 0, 50);
        ledger.acknowledged(CUSTOMER, 1, 50);
        ledger.shown(Viewer::Holder, tag(1), 50, false);
        assert_eq!(ledger.open(), Open { lost: 1, unanswered: 1, unsent: 1 });
    }

    #[test]
    fn what_never_came_is_as_late_as_the_end() {
        let mut ledger = sent(2);
        ledger.intend(CUSTOMER, 99, 0);
        ledger.acknowledged(CUSTOMER, 0, 50);
        let late: Vec<_> = ledger.late(1_000).map(|late| (late.taken.corrected_ns, late.left, late.acknowledged)).collect();
        assert_eq!(late, [(991, true, true), (981, true, false), (901, false, false)]);
    }

    #[test]
    fn the_second_time_is_a_repetition_also_long_after() {
        let mut ledger = sent(2);
        for number in [0, 1] {
            ledger.acknowledged(CUSTOMER, number, 50);
            ledger.shown(Viewer::Holder, tag(number), 50, false);
        }
        assert_eq!(ledger.shown(Viewer::Holder, tag(0), 60, false), Finding::Repeated);
        assert_eq!(ledger.acknowledged(CUSTOMER, 1, 60), Finding::AcknowledgedTwice);
    }

    #[test]
    fn an_overtaken_message_is_disorder() {
        let mut ledger = sent(2);
        assert_eq!(ledger.shown(Viewer::Holder, tag(1), 50, false), first(31));
        assert!(matches!(ledger.shown(Viewer::Holder, tag(0), 50, false), Finding::Disorder(_)));
    }

    #[test]
    fn what_nobody_sent_is_foreign() {
        let mut ledger = sent(1);
        assert_eq!(ledger.shown(Viewer::Holder, tag(7), 50, false), Finding::Foreign);
        assert_eq!(ledger.acknowledged(CUSTOMER, 7, 50), Finding::Foreign);
        assert_eq!(
            ledger.shown(Viewer::Holder, tag(0), 50, false),
            first(41),
            "a foreign number must not make the next one disorder"
        );
    }

    #[test]
    fn ones_own_messages_and_history_for_a_new_holder_are_as_they_should_be() {
        let mut ledger = sent(2);
        for number in [0, 1] {
            ledger.shown(Viewer::Holder, tag(number), 50, false);
            assert_eq!(ledger.shown(Viewer::Customer, tag(number), 50, false), Finding::Known);
        }
        assert_eq!(ledger.shown(Viewer::Customer, tag(1), 50, false), Finding::Repeated);
        ledger.new_holder();
        assert_eq!(ledger.shown(Viewer::Holder, tag(0), 60, false), Finding::Known);
        assert_eq!(ledger.shown(Viewer::Holder, tag(0), 60, false), Finding::Repeated);
    }

    #[test]
    fn a_refused_message_is_not_lost_but_must_not_appear() {
        let mut ledger = sent(2);
        assert!(ledger.refused(CUSTOMER, 1));
        assert_eq!(ledger.shown(Viewer::Holder, tag(1), 50, false), Finding::ShownThoughRefused);
        assert_eq!(ledger.open(), Open { lost: 0, unanswered: 1, unsent: 0 });
    }

    #[test]
    fn an_echo_is_the_delivery() {
        let mut ledger = sent(1);
        assert_eq!(ledger.shown(Viewer::Customer, tag(0), 50, true), first(41));
    }

    #[test]
    fn a_gap_that_was_admitted_is_no_loss() {
        let mut ledger = sent(2);
        ledger.acknowledged(CUSTOMER, 0, 50);
        assert_eq!(ledger.excuse(Viewer::Holder), 1);
        assert_eq!(ledger.open(), Open { lost: 0, unanswered: 1, unsent: 0 });
    }
}
