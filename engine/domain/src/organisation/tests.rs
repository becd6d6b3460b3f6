//! The rules of SPEC section 1 and 2 about organisations, as pages.

use super::{Change, Command, Site};
use crate::account::Role;
use crate::id::{QueueId, SiteId};
use crate::limits::QUEUES_MAX;
use crate::message::{Address, Order};
use crate::reply::{Refusal, Reply};
use crate::testing::script::check;
use crate::testing::{Answer, BOB, DAN, EVE, ODA, ORGANISATION, SALES, TECH, World, agent};

#[test]
fn an_agent_who_is_disabled_can_do_nothing() {
    check(
        "
        0:00 oda connects
             oda Online (Connected)
        0:00 bob connects
             bob Online (Connected)
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
             raised: ann: hello
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 oda disables bob
        0:03 bob writes ann: hi
             -> NotFound
        0:03 bob looks at ann
             -> NotFound
        0:03 bob picks from sales
             -> NotFound
        0:03 bob is away
             -> NotFound
        0:03 eve hands ann to bob
             -> ClaimHeld by bob
        0:04 eve claims ann
             -> ClaimHeld by bob
             4:01 ann warned: Release at 5:01
             5:01 ann#5 released from bob (Inactive)
             5:01 ann is told place 1
        5:01
        5:02 eve claims ann
             ann#6 claimed by eve, claim 2
             -> claim 2 of ann
        ",
    );
}

#[test]
fn a_queue_that_is_removed_lets_its_holders_finish() {
    check(
        "
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:00 cid starts in sales: hello
             cid#1 started
             cid#2 queued in sales at 2
             cid#3 cid: hello
             -> place 2
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
             0:02 cid is told place 1
        0:02 oda removes sales
        0:03 bob writes ann: I am still here
             ann#5 bob: I am still here
        0:03 ann writes: good
             ann#6 ann: good
        0:04 eve claims cid
             -> NotFound
        0:04 eva starts in sales
             -> NotFound
        0:05 oda moves cid to tech
             cid#4 moved from sales to tech
             cid is told place 1
        0:06 bob moves ann to tech
             ann#7 moved from sales to tech
             0:07 ann is told place 1
             0:07 cid is told place 2 (Returned)
        0:07 dan lists tech
             -> cid Waiting, 1 unread, close 15:00
             -> ann Waiting, 1 unread, close 15:03
        ",
    );
}

#[test]
fn who_may_change_settings() {
    check(
        "
        0:00 oda defines vip
        0:01 bob defines lost
             -> Forbidden
        0:02 foreign-oda defines lost
             -> NotFound
        0:03 ann defines lost
             -> NotFound
        0:04 root defines lost
        ",
    );
}

fn change(world: &mut World, change: Change) -> Answer {
    world.ask(agent(ODA), Order::Organisation(ORGANISATION, Box::new(Command::Change(Box::new(change)))))
}

fn site(key: &str, queues: Option<Vec<QueueId>>) -> Option<Site> {
    Some(Site { key: key.to_owned(), name: "shop".to_owned(), origins: Vec::new(), queues })
}

#[test]
fn what_is_acceptable() {
    let mut world = World::new();
    let invalid = |field| Err(Refusal::invalid(field));
    let (one, two) = (SiteId::from_bits(1), SiteId::from_bits(2));
    assert_eq!(change(&mut world, Change::Rename { name: "a\nb".to_owned() }), invalid("name"));
    assert_eq!(change(&mut world, Change::PutSite { site: one, config: site("shop", None) }), Ok(Reply::Done));
    let taken = change(&mut world, Change::PutSite { site: two, config: site("shop", None) });
    assert!(matches!(taken, Err(Refusal::Conflict(_))), "{taken:?}");
    let unknown = Some(vec![QueueId::from_bits(9)]);
    assert_eq!(change(&mut world, Change::PutSite { site: two, config: site("other", unknown) }), invalid("queues"));
    let again = Change::Create { organisation: ORGANISATION, name: "mine".to_owned() };
    assert_eq!(change(&mut world, again), Err(Refusal::Forbidden), "organisations are made by root");
    let mut config = world.directory.queues[&SALES].clone();
    config.settings.policy.release_after_ms = 10;
    assert_eq!(change(&mut world, Change::PutQueue { queue: SALES, config: Some(config.clone()) }), invalid("release_after_ms"));
    config = world.directory.queues[&SALES].clone();
    config.settings.transfer_targets = Some(vec![TECH; QUEUES_MAX + 1]);
    let many = change(&mut world, Change::PutQueue { queue: SALES, config: Some(config) });
    assert_eq!(many, Err(Refusal::TooLarge { max: QUEUES_MAX as u64 + 1 }));
    let mut eve = world.directory.accounts[&EVE].clone();
    eve.login = Some("bob".to_owned());
    let mut bob = world.directory.accounts[&BOB].clone();
    bob.login = Some("bob".to_owned());
    assert_eq!(change(&mut world, Change::PutAgent { agent: BOB, account: Some(Box::new(bob)) }), Ok(Reply::Done));
    let taken = change(&mut world, Change::PutAgent { agent: EVE, account: Some(Box::new(eve)) });
    assert!(matches!(taken, Err(Refusal::Conflict(_))), "{taken:?}");
}

#[test]
fn a_removed_queue_is_named_nowhere() {
    let mut world = World::new();
    let site_id = SiteId::from_bits(1);
    change(&mut world, Change::PutSite { site: site_id, config: site("shop", Some(vec![SALES, TECH])) }).unwrap();
    world.set(SALES, |settings| settings.transfer_targets = Some(vec![TECH]));
    change(&mut world, Change::PutQueue { queue: TECH, config: None }).unwrap();
    let directory = &world.directory;
    assert_eq!(directory.sites[&site_id].queues, Some(vec![SALES]));
    assert_eq!(directory.queues[&SALES].settings.transfer_targets, Some(Vec::new()));
    assert!(directory.accounts[&DAN].queues.is_empty());
}

#[test]
fn who_is_gone_is_not_on_the_board() {
    let mut world = World::new();
    world.connect(agent(BOB));
    world.connect(agent(EVE));
    let board = |world: &World| world.organisations[&ORGANISATION].state.board.keys().copied().collect::<Vec<_>>();
    assert_eq!(board(&world), [BOB, EVE]);
    change(&mut world, Change::PutAgent { agent: BOB, account: None }).unwrap();
    let mut eve = world.directory.accounts[&EVE].clone();
    eve.disabled = true;
    change(&mut world, Change::PutAgent { agent: EVE, account: Some(Box::new(eve)) }).unwrap();
    assert_eq!(board(&world), []);
    let follow = world.followers[&Address::Organisation(ORGANISATION)].len();
    assert_eq!(follow, 0, "nor told anything");
    world.disconnect(agent(EVE));
    assert_eq!(board(&world), [], "and does not come back");
}

#[test]
fn credentials_are_not_changed_with_the_account() {
    let mut world = World::new();
    change(&mut world, Change::SetPassword { agent: BOB, password_hash: Some("hash".to_owned()) }).unwrap();
    let account = crate::testing::account("robert", Role::Agent, Some(SALES));
    change(&mut world, Change::PutAgent { agent: BOB, account: Some(Box::new(account)) }).unwrap();
    assert_eq!(world.directory.accounts[&BOB].password_hash.as_deref(), Some("hash"));
    assert_eq!(world.directory.accounts[&BOB].name, "robert");
}
