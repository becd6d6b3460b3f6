//! The rules of SPEC section 1 and 2 about customers, as pages.

use super::{Command, Customer};
use crate::account::{Author, Who};
use crate::conversation::{self, Start};
use crate::id::{ConversationId, CustomerId};
use crate::machine::{Context, Machine};
use crate::message::{Address, Effect, Order};
use crate::reply::Refusal;
use crate::testing::script::check;
use crate::testing::{self as world, BEGINNING, FOREIGN, SALES, World};

#[test]
fn blocked_customers_are_told_and_cannot_write() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: rude
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: rude
             -> place 1
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 dan blocks ann
             -> NotFound
        0:02 ann blocks ann
             -> Forbidden
        0:03 bob blocks ann
             ann blocked: for ever
             ann#5 blocked by bob: for ever
        0:04 ann writes: ruder
             -> Blocked: for ever
        0:04 ann types: ruder
             -> Blocked: for ever
        0:05 ann2 starts in sales: again
             -> Blocked: for ever
        0:06 ann starts in sales: rude
             -> no place
        0:07 bob writes ann: calm down
             ann#6 bob: calm down
        0:08 bob unblocks ann
             ann blocked: no
             ann#7 unblocked by bob
        0:09 bob unblocks ann
        0:10 ann writes: sorry
             ann#8 ann: sorry
        0:11 ann looks at herself
             -> open 1, ended 0, blocked: no
        ",
    );
}

#[test]
fn a_block_for_a_time_ends_by_itself() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: rude
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: rude
             -> place 1
        0:01 bob blocks ann for 2:00
             ann blocked: until 2:01
             ann#4 blocked by bob: until 2:01
        0:02 ann hears
             blocked: until 2:01
             ann#4 blocked by bob: until 2:01
        2:00.999 ann writes: now?
             -> Blocked: until 2:01
             2:01 ann blocked: no
             2:01 ann#5 unblocked by system
        2:01 ann writes: now?
             ann#6 ann: now?
        ",
    );
}

#[test]
fn a_blocked_customer_may_leave_and_rate_without_words() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: rude
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: rude
             -> place 1
        0:01 bob blocks ann
             ann blocked: for ever
             ann#4 blocked by bob: for ever
        0:02 ann leaves
             ann#5 closed (Customer)
        0:03 ann rates 1: rude words
             -> Blocked: for ever
        0:04 ann rates 1
             ann#6 rated 1
        ",
    );
}

#[test]
fn a_block_ends_on_time_over_a_restart() {
    check(
        "
        0:00 ann starts in sales: rude
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: rude
             -> place 1
        0:01 bob blocks ann for 2:00
             ann blocked: until 2:01
             ann#4 blocked by bob: until 2:01
        1:00 ann restarts
        1:01 ann writes: now?
             -> Blocked: until 2:01
             2:01 ann blocked: no
             2:01 ann#5 unblocked by system
        2:01
        2:02 ann writes: now?
             ann#6 ann: now?
        ",
    );
}

#[test]
fn four_conversations_at_a_time() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:00 ann2 starts in sales
             ann2#1 started
             ann2#2 queued in sales at 2
             -> place 2
        0:00 ann3 starts in tech
             ann3#1 started
             ann3#2 queued in tech at 1
             -> place 1
        0:00 ann4 starts in tech
             ann4#1 started
             ann4#2 queued in tech at 2
             -> place 2
        0:01 ann5 starts in sales
             -> Conflict: as many conversations are open as one customer may have
        0:02 ann4 leaves
             ann4#3 closed (Customer)
        0:03 ann5 starts in sales
             ann5#1 started
             ann5#2 queued in sales at 3
             -> place 3
        0:04 ann looks at herself
             -> open 4, ended 1, blocked: no
        0:05 cid looks at herself
             -> open 0, ended 0, blocked: no
        ",
    );
}

#[test]
fn after_loading_it_asks_what_is_still_open_and_repeats_the_block() {
    let mut customer = Customer { blocked: Some(None), ..Customer::default() };
    let (id, open) = (CustomerId::from_bits(1), ConversationId::from_bits(5));
    customer.open.insert(open);
    let context = Context { now: BEGINNING, who: Who::Engine, organisation: None };
    let tell = |command| Effect::Tell(Order::Conversation(open, Box::new(command)));
    let blocked = conversation::Command::CustomerBlocked { blocked: Some(None), by: Author::System };
    let ask = conversation::Command::Announce { to: Address::Customer(id) };
    assert_eq!(customer.recovered(id, &context).1, [tell(blocked), tell(ask)]);
}

#[test]
fn another_organisation_with_the_same_number_is_nobody() {
    let mut world = World::new();
    let describe =
        |world: &mut World, who| world.ask(who, Order::Customer(CustomerId::from_bits(1), Box::new(Command::Describe)));
    let begin = Command::Start {
        conversation: ConversationId::from_bits(1),
        queue: SALES,
        start: Box::new(Start {
            organisation: FOREIGN,
            customer: CustomerId::from_bits(9),
            customer_name: None,
            metadata: Vec::new(),
            message: None,
            priority: 0,
        }),
    };
    let started = world.ask(world::customer(1), Order::Customer(CustomerId::from_bits(1), Box::new(begin)));
    assert!(started.is_ok(), "whose it is comes from the credential: {started:?}");
    assert!(describe(&mut world, world::customer(1)).is_ok());
    assert_eq!(describe(&mut world, Who::Customer(FOREIGN, CustomerId::from_bits(1))), Err(Refusal::NotFound));
    assert_eq!(describe(&mut world, world::customer(2)), Err(Refusal::NotFound));
    assert_eq!(describe(&mut world, world::agent(world::ODA)), Err(Refusal::NotFound));
}
