//! The rules of SPEC section 1 and 2 about queues, as pages.

use std::sync::Arc;

use super::{Command, Event, Queue};
use crate::account::Who;
use crate::conversation::{self, Row, RowState};
use crate::id::{ConversationId, CustomerId};
use crate::machine::{Context, Machine};
use crate::message::{Address, Effect, Order};
use crate::notice::{Deadlines, Notice};
use crate::testing::script::check;
use crate::testing::{BEGINNING, SALES, TECH};

#[test]
fn l1_a_queue_that_is_closed_or_full_says_so() {
    check(
        "
        0:00 bob shuts sales
        0:01 ann starts in sales: hello
             -> QueueClosed { next_open_at: None }
        0:02 bob opens sales
        0:03 root sets sales waiting_max 2
        0:04 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:05 cid starts in sales: hello
             cid#1 started
             cid#2 queued in sales at 2
             cid#3 cid: hello
             -> place 2
        0:06 eva starts in sales: hello
             -> QueueFull
        0:07 bob picks from sales
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
             0:08 cid is told place 1
        0:08 eva starts in sales: hello
             eva#1 started
             eva#2 queued in sales at 2
             eva#3 eva: hello
             -> place 2
        0:09 bob releases ann
             ann#5 released from bob (Manual)
             0:10 ann is told place 1
             0:10 cid is told place 2 (Returned)
             0:10 eva is told place 3 (Returned)
        0:10 bob counts sales
             -> open: 3 wait since 0:04, 0 active, 3 unread
        0:11 fay starts in sales
             -> QueueFull
        0:12 fay starts in nowhere
             -> NotFound
        0:13 foreign-fay starts in sales
             -> NotFound
        0:14 ann picks from sales
             -> Forbidden
        ",
    );
}

#[test]
fn l1_room_is_kept_from_admission_on() {
    check(
        "
        0:00 root sets sales waiting_max 1
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:00 cid starts in sales
             -> QueueFull
        0:06 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:06 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 1
             -> place 1
        ",
    );
}

#[test]
fn l1_the_same_start_again_is_answered_again() {
    check(
        "
        0:00 ann connects
        0:00 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 1
             -> place 1
        0:01 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 2
             ann#3 ann: hello
             -> place 2
        0:02 ann starts in sales: hello
             -> place 2
        0:03 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:04 ann starts in sales: hello
             -> no place
        0:05 bob ends ann
             ann#5 closed (Agent)
        0:06 ann starts in sales: hello
             -> no place
        ",
    );
}

#[test]
fn l2_priority_first_then_who_waited_longest() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 2
             -> place 2
        0:02 eva starts in sales
             eva#1 started
             eva#2 queued in sales at 3
             -> place 3
        0:03 bob prioritises eva 3
             eva#3 [priority 3]
             0:04 eva is told place 1
             0:04 ann is told place 2 (Priority)
             0:04 cid is told place 3 (Priority)
        0:04 bob prioritises cid 10
             -> Invalid: priority
        0:04 bob prioritises cid -10
             -> Invalid: priority
        0:05 bob picks from sales
             eva#4 claimed by bob, claim 1
             -> claim 1 of eva
             0:06 ann is told place 1
             0:06 cid is told place 2
        0:06 bob releases eva
             eva#5 released from bob (Manual)
        0:07 bob prioritises eva 0
             eva#6 [priority 0]
             0:08 eva is told place 3
        0:08 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:09 bob picks from sales
             cid#3 claimed by bob, claim 1
             -> claim 1 of cid
             0:10 eva is told place 1, about 0:01.666
        0:10 bob picks from sales
             eva#7 claimed by bob, claim 2
             -> claim 2 of eva
        0:11 bob picks from sales
             -> QueueEmpty
        ",
    );
}

#[test]
fn l2_who_returns_keeps_the_moment_also_in_another_queue() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 dan counts tech
             -> open: 0 wait, 0 active, 0 unread
        0:10 cid starts in tech
             cid#1 started
             cid#2 queued in tech at 1
             -> place 1
        0:20 bob moves ann to tech
             ann#3 moved from sales to tech
             ann is told place 1
             cid is told place 2 (Returned)
        0:21 dan counts tech
             -> open: 2 wait since 0:00, 0 active, 0 unread
        0:22 dan picks from tech
             ann#4 claimed by dan, claim 1
             -> claim 1 of ann
        ",
    );
}

#[test]
fn l3_places_are_told_when_they_change_and_get_worse_only_with_a_reason() {
    check(
        "
        0:00 ann connects
        0:00 cid connects
        0:00 eva connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:00.500 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 2
             -> place 2
        0:01 eva starts in sales
             eva#1 started
             eva#2 queued in sales at 3
             -> place 3
        0:05 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
             cid is told place 1
             eva is told place 2
        0:10 bob releases ann
             ann#4 released from bob (Manual)
             ann is told place 1
             cid is told place 2 (Returned)
             eva is told place 3 (Returned)
        0:15 bob prioritises eva 2
             eva#3 [priority 2]
             eva is told place 1
             ann is told place 2 (Priority)
             cid is told place 3 (Priority)
        0:20 bob prioritises eva 0
             eva#4 [priority 0]
             ann is told place 1
             cid is told place 2
             eva is told place 3 (Priority)
        0:30
        ",
    );
}

#[test]
fn l3_at_most_every_two_seconds() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:00 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 2
             -> place 2
        0:00 eva starts in sales
             eva#1 started
             eva#2 queued in sales at 3
             -> place 3
        0:00 fay starts in sales
             fay#1 started
             fay#2 queued in sales at 4
             -> place 4
        0:10 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
             cid is told place 1
             eva is told place 2
             fay is told place 3
        0:10.100 bob picks from sales
             cid#3 claimed by bob, claim 1
             -> claim 1 of cid
        0:10.200 bob picks from sales
             eva#3 claimed by bob, claim 1
             -> claim 1 of eva
             0:12 fay is told place 1, about 0:00.666
        0:20
        ",
    );
}

#[test]
fn l3_the_estimate_is_the_mean_time_between_takes() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:00 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 2
             -> place 2
        0:00 eva starts in sales
             eva#1 started
             eva#2 queued in sales at 3
             -> place 3
        1:00 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
             cid is told place 1
             eva is told place 2
        1:01 fay starts in sales
             fay#1 started
             fay#2 queued in sales at 3
             -> place 3
        2:00 bob picks from sales
             cid#3 claimed by bob, claim 1
             -> claim 1 of cid
             eva is told place 1, about 0:30
             fay is told place 2, about 1:00
        3:00 ann2 starts in sales
             ann2#1 started
             ann2#2 queued in sales at 3
             -> place 3, about 3:00
             5:00 ann warned: Release at 6:00
             6:00 ann#4 released from bob (Inactive)
             6:00 ann is told place 1, about 2:30
             6:00 eva is told place 2, about 5:00 (Returned)
             6:00 fay is told place 3, about 7:30 (Returned)
             6:00 ann2 is told place 4, about 10:00 (Returned)
             6:00 cid warned: Release at 7:00
             7:00 cid#4 released from bob (Inactive)
             7:00 cid is told place 2, about 6:00
             7:00 eva is told place 3, about 9:00 (Returned)
             7:00 fay is told place 4, about 12:00 (Returned)
             7:00 ann2 is told place 5, about 15:00 (Returned)
             14:00 eva warned: Close at 15:00
             15:00 ann warned: Close at 16:00
             15:00 eva#3 closed (Inactive)
             15:00 fay is told place 3, about 21:00
             15:00 ann2 is told place 4, about 28:00
             15:01 fay warned: Close at 16:01
             16:00 ann#5 closed (Inactive)
             16:00 cid is told place 1, about 7:30
             16:00 fay is told place 2, about 15:00
             16:00 ann2 is told place 3, about 22:30
             16:00 cid warned: Close at 17:00
             16:01 fay#3 closed (Inactive)
             16:02 ann2 is told place 2, about 15:02
             17:00 cid#5 closed (Inactive)
             17:00 ann2 is told place 1, about 8:00
             17:00 ann2 warned: Close at 18:00
             18:00 ann2#3 closed (Inactive)
        40:00 ida starts in sales
             ida#1 started
             ida#2 queued in sales at 1
             -> place 1
        ",
    );
}

#[test]
fn l3_a_queue_may_keep_places_to_itself() {
    check(
        "
        0:00 root sets sales position off
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 0
             -> no place
        0:01 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 0
             -> no place
        0:02 cid looks at cid
             -> cid Waiting, close 15:01, head 2
        0:05 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:10
        ",
    );
}

#[test]
fn l3_who_returns_is_told_the_place_again() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:05 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:06 ann looks at ann
             -> ann Active by bob, release 5:05, close 15:05, head 3
        0:10 bob releases ann
             ann#4 released from bob (Manual)
             ann is told place 1
        0:15 ann looks at ann
             -> ann Waiting, place 1, head 4
        ",
    );
}

#[test]
fn lists_show_new_before_in_progress_and_the_oldest_message_first() {
    check(
        "
        0:00 ann starts in sales: a
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: a
             -> place 1
        0:01 cid starts in sales: b
             cid#1 started
             cid#2 queued in sales at 2
             cid#3 cid: b
             -> place 2
        0:02 eva starts in sales: c
             eva#1 started
             eva#2 queued in sales at 3
             eva#3 eva: c
             -> place 3
        0:03 fay starts in sales: d
             fay#1 started
             fay#2 queued in sales at 4
             fay#3 fay: d
             -> place 4
        0:04 bob claims eva
             eva#4 claimed by bob, claim 1
             -> claim 1 of eva
        0:05 eve claims ann
             ann#4 claimed by eve, claim 1
             -> claim 1 of ann
             0:06 cid is told place 1, about 0:01
             0:06 fay is told place 2, about 0:02
        0:06 cid writes: again
             cid#4 cid: again
        0:07 ann writes: again
             ann#5 ann: again
        0:08 bob lists sales
             -> fay Waiting, 1 unread, close 15:03
             -> cid Waiting, 2 unread, close 15:06
             -> eva Active by bob, 1 unread, release 5:04, close 15:04
             -> ann Active by eve, 2 unread, release 5:05, close 15:07
        0:09 bob ends eva
             eva#5 closed (Agent)
        0:10 oda lists sales
             -> fay Waiting, 1 unread, close 15:03
             -> cid Waiting, 2 unread, close 15:06
             -> ann Active by eve, 2 unread, release 5:05, close 15:07
        0:11 dan lists sales
             -> NotFound
        0:11 foreign-bob lists sales
             -> NotFound
        0:11 ann lists sales
             -> Forbidden
        ",
    );
}

#[test]
fn nine_a_message_nobody_serves_is_raised_to_the_queue() {
    check(
        "
        0:00 bob connects
             bob Online (Connected)
        0:00 dan connects
             dan Online (Connected)
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
             raised: ann: hello
        0:01 ann writes: anybody?
             ann#4 ann: anybody?
             raised: ann: anybody?
        0:02 eve claims ann
             ann#5 claimed by eve, claim 1
             -> claim 1 of ann
        0:03 ann writes: at last
             ann#6 ann: at last
        0:04 eve releases ann
             ann#7 released from eve (Manual)
             ann is told place 1
        0:05 ann writes: hey
             ann#8 ann: hey
             raised: ann: hey
        0:06 bob hears
             bob Online (Connected)
             dan Online (Connected)
             raised: ann: hello
             raised: ann: anybody?
             raised: ann: hey
        0:07 dan hears
        ",
    );
}

#[test]
fn a_pick_goes_past_what_was_taken_meanwhile() {
    check(
        "
        0:00 bob picks from sales
             -> QueueEmpty
        0:01 dan picks from sales
             -> NotFound
        0:02 ann picks from sales
             -> Forbidden
        0:03 oda picks from sales
             -> QueueEmpty
        ",
    );
}

#[test]
fn who_may_open_and_close() {
    check(
        "
        0:00 dan shuts sales
             -> NotFound
        0:01 ann shuts sales
             -> Forbidden
        0:02 bob shuts sales
        0:03 bob counts sales
             -> closed: 0 wait, 0 active, 0 unread
        0:04 oda opens sales
        0:05 bob counts sales
             -> open: 0 wait, 0 active, 0 unread
        0:06 foreign-bob counts sales
             -> NotFound
        0:06 foreign-ann counts sales
             -> NotFound
        ",
    );
}

fn row(conversation: u128, head: u64, state: RowState) -> Row {
    Row {
        conversation: ConversationId::from_bits(conversation),
        queue: SALES,
        customer: CustomerId::from_bits(1),
        customer_name: None,
        state,
        preview: String::new(),
        last_message_at: BEGINNING,
        unread: 2,
        started_at: BEGINNING,
        waiting_since: BEGINNING + conversation as u64,
        priority: 0,
        holder: None,
        claim: 0,
        deadlines: Deadlines::default(),
        tags: Vec::new(),
        connected: true,
        head,
    }
}

fn announce(queue: &mut Queue, row: &Row) -> bool {
    let context = Context { now: BEGINNING, who: Who::Engine, organisation: None };
    let events = queue.decide(SALES, &Command::Announce { row: Arc::new(row.clone()) }, &context).unwrap();
    events.iter().for_each(|event| queue.evolve(event));
    !events.is_empty()
}

fn rows_in(notices: &[Notice]) -> Vec<ConversationId> {
    let rows = notices.iter().filter_map(|notice| if let Notice::Rows(rows) = notice { Some(rows) } else { None });
    rows.flatten().map(|row| row.conversation).collect()
}

fn numbers(queue: &Queue) -> (u32, u32, u32) {
    let summary = queue.summary(SALES);
    (summary.waiting, summary.active, summary.unread)
}

#[test]
fn announcements_may_come_twice_and_late() {
    let mut queue = Queue::default();
    assert!(announce(&mut queue, &row(1, 3, RowState::Waiting)));
    assert!(!announce(&mut queue, &row(1, 3, RowState::Waiting)), "twice");
    assert_eq!(numbers(&queue), (1, 0, 2));
    assert!(announce(&mut queue, &Row { unread: 5, ..row(1, 3, RowState::Waiting) }), "read marks have no number");
    assert_eq!(numbers(&queue), (1, 0, 5));
    assert!(announce(&mut queue, &row(1, 4, RowState::Active)));
    assert!(!announce(&mut queue, &row(1, 3, RowState::Waiting)), "late");
    assert_eq!(numbers(&queue), (0, 1, 2));
    announce(&mut queue, &row(1, 5, RowState::Closed));
    assert!(!announce(&mut queue, &row(1, 4, RowState::Active)), "late, and not back from the dead");
    assert_eq!(numbers(&queue), (0, 0, 0));
    assert!(announce(&mut queue, &row(1, 6, RowState::Closed)), "lists of ended conversations are alive");
}

#[test]
fn what_is_elsewhere_is_forgotten_until_it_comes_back() {
    let mut queue = Queue::default();
    announce(&mut queue, &row(1, 3, RowState::Waiting));
    announce(&mut queue, &Row { queue: TECH, ..row(1, 4, RowState::Waiting) });
    assert_eq!(numbers(&queue), (0, 0, 0));
    assert!(!announce(&mut queue, &row(1, 3, RowState::Waiting)), "late");
    announce(&mut queue, &row(1, 5, RowState::Waiting));
    assert_eq!(numbers(&queue), (1, 0, 2));
}

#[test]
fn rows_are_pushed_together_and_only_to_those_who_look() {
    let mut queue = Queue::default();
    announce(&mut queue, &row(1, 3, RowState::Waiting));
    queue.evolve(&Event::FollowersCounted(1));
    announce(&mut queue, &row(2, 3, RowState::Waiting));
    announce(&mut queue, &row(3, 3, RowState::Waiting));
    announce(&mut queue, &Row { queue: TECH, ..row(9, 3, RowState::Waiting) });
    let Some(Event::Flushed(notices, _)) =
        queue.expire(SALES, BEGINNING).into_iter().find(|event| matches!(event, Event::Flushed(..)))
    else {
        panic!("nothing was pushed")
    };
    let rows: Vec<_> = rows_in(&notices).iter().map(|conversation| conversation.bits()).collect();
    assert_eq!(rows, [2, 3], "one that was never here is nobody's business");
}

#[test]
fn many_changed_rows_are_pushed_in_portions_that_an_outbox_holds() {
    let mut queue = Queue::default();
    queue.evolve(&Event::FollowersCounted(1));
    for number in 1..=250 {
        announce(&mut queue, &row(number, 1, RowState::Waiting));
    }
    let mut pushed = Vec::new();
    let mut now = BEGINNING;
    while let Some(at) = queue.board.flush_at() {
        now = now.max(at);
        for event in queue.expire(SALES, now) {
            if let Event::Flushed(notices, _) = &event {
                pushed.push(rows_in(notices));
            }
            queue.evolve(&event);
        }
    }
    assert_eq!(pushed.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    let all: Vec<_> = pushed.concat();
    assert_eq!(all, (1..=250).map(ConversationId::from_bits).collect::<Vec<_>>());
}

#[test]
fn a_long_queue_is_told_its_places_in_rounds_and_nobody_is_forgotten() {
    let mut queue = Queue::default();
    for number in 1..=1_200 {
        announce(&mut queue, &row(number, 1, RowState::Waiting));
    }
    let (mut now, mut told, mut largest) = (BEGINNING, std::collections::BTreeMap::new(), 0);
    while let Some(at) = queue.next_deadline() {
        now = now.max(at);
        for event in queue.expire(SALES, now) {
            if let Event::PlacesTold(round, _) = &event {
                largest = largest.max(round.places.len());
                told.extend(round.places.iter().map(|told| (told.conversation.bits(), told.position)));
            }
            queue.evolve(&event);
        }
    }
    assert_eq!(largest, crate::limits::PLACES_PER_ROUND);
    assert!(told.iter().map(|(number, position)| (*number as u32, *position)).eq((1..=1_200).map(|number| (number, number))));
    // The first is taken while the queue rests: everybody hears of a better place, those far back a little later.
    announce(&mut queue, &row(1, 2, RowState::Active));
    while let Some(at) = queue.next_deadline() {
        now = now.max(at);
        for event in queue.expire(SALES, now) {
            if let Event::PlacesTold(round, _) = &event {
                told.extend(round.places.iter().map(|told| (told.conversation.bits(), told.position)));
            }
            queue.evolve(&event);
        }
    }
    assert!(told.iter().skip(1).all(|(number, position)| *number as u32 == *position + 1));
}

#[test]
fn a_queue_asks_those_whose_owner_changes_how_they_stand() {
    let mut queue = Queue::default();
    announce(&mut queue, &row(1, 3, RowState::Waiting));
    announce(&mut queue, &row(2, 3, RowState::Active));
    announce(&mut queue, &row(3, 4, RowState::Closed));
    let asked = queue.announce(SALES);
    let expected = [1, 2].map(|known| {
        let ask = conversation::Command::Announce { to: Address::Queue(SALES) };
        Effect::Tell(Order::Conversation(ConversationId::from_bits(known), Box::new(ask)))
    });
    assert_eq!(asked, expected, "one that has ended while its owner died is not brought back, and tells nobody");
}
