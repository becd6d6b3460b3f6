//! The rules of SPEC section 1 and 2 about agents, as pages.

use super::{Agent, Command};
use crate::conversation;
use crate::id::{ConversationId, QueueId};
use crate::limits::{CANNED_BYTES_MAX, CANNED_MAX, HELD_PER_AGENT_MAX, TEXT_BYTES_MAX};
use crate::machine::{Context, Machine};
use crate::message::{Address, Effect, Order};
use crate::reply::{Refusal, Reply};
use crate::testing::script::check;
use crate::testing::{Answer, BEGINNING, BOB, EVE, SALES, World, agent, customer};

#[test]
fn online_by_connecting_and_for_a_quarter_of_an_hour_after() {
    check(
        "
        0:00 oda connects
             oda Online (Connected)
        0:01 bob connects
             bob Online (Connected)
        1:00 bob connects
        2:00 bob disconnects
             bob Online (Connected, not connected)
        10:00 bob connects
             bob Online (Connected)
        11:00 bob disconnects
             bob Online (Connected, not connected)
        25:59.999
             26:00 bob Offline (TimedOut, not connected)
        26:00
        27:00 bob connects
             bob Online (Connected)
        ",
    );
}

#[test]
fn who_chose_offline_stays_offline() {
    check(
        "
        0:00 bob connects
             bob Online (Connected)
        1:00 bob is offline
             bob Offline (Chosen)
        2:00 bob disconnects
             bob Offline (Chosen, not connected)
        3:00 bob connects
             bob Offline (Chosen)
        4:00 bob is online
             bob Online (Chosen)
        5:00 bob is online
        ",
    );
}

#[test]
fn away_is_not_assigned_to_and_times_out_too() {
    check(
        "
        0:00 eve connects
             eve Online (Connected)
        0:00 eve is away
             eve Away (Chosen)
        0:01 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:02 bob hands ann to eve
             -> NoAgents
        0:03 eve disconnects
             eve Away (Chosen, not connected)
        0:04 eve connects
             eve Away (Chosen)
        0:05 eve disconnects
             eve Away (Chosen, not connected)
             14:01 ann warned: Close at 15:01
             15:01 ann#3 closed (Inactive)
             15:05 eve Offline (TimedOut, not connected)
        15:05
        15:06 eve connects
             eve Online (Connected)
        ",
    );
}

#[test]
fn online_by_choice_lasts_as_long_as_after_a_connection() {
    check(
        "
        0:00 oda connects
             oda Online (Connected)
        100:00 bob is online
             bob Online (Chosen, not connected)
        101:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        101:00 eve hands ann to bob
             ann#3 assigned from nobody to bob, claim 1
             105:00 ann warned: Release at 106:00
             106:00 ann#4 released from bob (Inactive)
             106:00 ann is told place 1
             115:00 bob Offline (TimedOut, not connected)
             115:00 ann warned: Close at 116:00
        115:00
             116:00 ann#5 closed (Inactive)
        116:00
        ",
    );
}

#[test]
fn presence_is_ones_own() {
    check(
        "
        0:00 foreign-bob is online
             -> NotFound
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        ",
    );
}

#[test]
fn a_claim_is_known_to_its_holder_until_it_ends() {
    check(
        "
        0:00 bob connects
             bob Online (Connected)
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
             raised: ann: hello
        0:01 bob picks from sales
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 bob hears
             bob Online (Connected)
             raised: ann: hello
        0:03 bob moves ann to tech
             ann#5 moved from sales to tech
             ann is told place 1
        0:04 ann writes: hello?
             ann#6 ann: hello?
        0:05 bob hears
             ann#5 moved from sales to tech
        ",
    );
}

fn canned(world: &mut World, by: crate::account::Who, keyword: &str, text: Option<&str>) -> Answer {
    let command = Command::SetCanned { keyword: keyword.to_owned(), text: text.map(str::to_owned) };
    world.ask(by, Order::Agent(BOB, Box::new(command)))
}

#[test]
fn canned_messages_are_ones_own_and_limited() {
    let mut world = World::new();
    assert_eq!(canned(&mut world, agent(EVE), "hi", Some("Hello, this is [agent]")), Err(Refusal::NotFound));
    assert_eq!(canned(&mut world, customer(1), "hi", Some("x")), Err(Refusal::NotFound));
    assert_eq!(canned(&mut world, agent(BOB), "two words", Some("x")), Err(Refusal::invalid("keyword")));
    assert_eq!(canned(&mut world, agent(BOB), "hi", Some("")), Err(Refusal::invalid("text")));
    for n in 0..CANNED_MAX {
        assert_eq!(canned(&mut world, agent(BOB), &format!("k{n}"), Some("x")), Ok(Reply::Done));
    }
    assert_eq!(canned(&mut world, agent(BOB), "more", Some("x")), Err(Refusal::TooLarge { max: CANNED_MAX as u64 }));
    let long = "x".repeat(TEXT_BYTES_MAX);
    let largest = CANNED_BYTES_MAX / TEXT_BYTES_MAX;
    let stored = (0..largest).filter(|n| canned(&mut world, agent(BOB), &format!("k{n}"), Some(&long)).is_ok()).count();
    assert_eq!(stored, largest - 1, "the short ones take room, too");
    let too_large = Err(Refusal::TooLarge { max: CANNED_BYTES_MAX as u64 });
    assert_eq!(canned(&mut world, agent(BOB), &format!("k{}", largest - 1), Some(&long)), too_large);
    assert_eq!(canned(&mut world, agent(BOB), "k0", Some("another")), Ok(Reply::Done));
    assert_eq!(canned(&mut world, agent(BOB), "k1", None), Ok(Reply::Done));
    assert_eq!(canned(&mut world, agent(BOB), "more", Some("x")), Ok(Reply::Done));
}

#[test]
fn an_agent_who_holds_enough_is_given_no_more() {
    let mut world = World::new();
    world.connect(agent(BOB));
    let held = (0..HELD_PER_AGENT_MAX as u128).map(|n| (ConversationId::from_bits(1_000 + n), SALES));
    world.agents.entry(BOB).or_default().state.held.extend(held);
    let command = Command::AcceptHandover { conversation: ConversationId::from_bits(1), claim: None };
    let refused = world.ask(agent(EVE), Order::Agent(BOB, Box::new(command)));
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
}

#[test]
fn after_loading_it_asks_whether_it_still_holds_what_it_held() {
    let mut agent = Agent::default();
    let held = ConversationId::from_bits(5);
    agent.held.insert(held, QueueId::from_bits(1));
    let context = Context { now: BEGINNING, who: crate::account::Who::Engine, organisation: None };
    let ask = conversation::Command::Announce { to: Address::Agent(BOB) };
    assert_eq!(agent.recovered(BOB, &context).1, [Effect::Tell(Order::Conversation(held, Box::new(ask)))]);
}
