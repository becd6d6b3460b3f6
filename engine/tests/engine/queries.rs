//! History, lists and search, page by page.

use jono_domain::account::Audience;
use jono_domain::conversation::{Command, Entry, Row};
use jono_domain::id::QueueId;
use jono_domain::reply::Refusal;
use jono_domain::time::Time;
use jono_engine::limits::HITS_PER_CONVERSATION_MAX;
use jono_engine::request::{Hit, Outcome, Query, View};

use crate::kit::*;

async fn history(world: &World, who: jono_domain::account::Who, forward: bool, from: u64, limit: usize) -> (Vec<Entry>, u64) {
    match world.query(who, Query::History { conversation: TALK, forward, from, limit }).await {
        Ok(Outcome::History { entries, head }) => (entries, head),
        other => panic!("{other:?}"),
    }
}

/// Every page of a list.
async fn pages(world: &World, who: jono_domain::account::Who, view: View, queue: Option<QueueId>, limit: usize) -> Vec<Vec<Row>> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        match world.query(who, Query::List { view, queue, cursor, limit }).await {
            Ok(Outcome::Rows { rows, cursor: next }) => {
                assert!(rows.len() <= limit);
                pages.push(rows);
                match next {
                    Some(next) => cursor = Some(next),
                    None => return pages,
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn history_is_read_in_pages_in_both_directions() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        for number in 0..60 {
            let order = match number % 3 {
                0 => message(TALK, &format!("{number}")),
                _ => to(TALK, Command::AddNote { text: format!("{number}") }),
            };
            world.done(agent_of(BOB), order).await;
        }
        let log = world.log(TALK).await;
        assert_eq!(log.len(), 64);
        for (who, audience) in [(agent_of(BOB), Audience::Agent), (customer_of(ANN), Audience::Customer)] {
            let visible: Vec<Entry> = log.iter().filter(|entry| entry.is_for(audience)).cloned().collect();
            let last = visible.last().map_or(0, |entry| entry.seq);
            let mut forward = Vec::new();
            loop {
                let from = forward.last().map_or(0, |entry: &Entry| entry.seq);
                let (page, head) = history(&world, who, true, from, 7).await;
                assert_eq!(head, last);
                if page.is_empty() {
                    break;
                }
                assert!(page.len() == 7 || page.last().map(|entry| entry.seq) == Some(last));
                forward.extend(page);
            }
            assert_eq!(forward, visible);
            let mut backward: Vec<Entry> = Vec::new();
            loop {
                let from = backward.first().map_or(u64::MAX, |entry| entry.seq);
                let (mut page, _) = history(&world, who, false, from, 7).await;
                if page.is_empty() {
                    break;
                }
                page.append(&mut backward);
                backward = page;
            }
            assert_eq!(backward, visible);
        }
        // A page that would be too large is cut short, but is never empty.
        world.done(agent_of(BOB), to(TALK, Command::Touch { claim: None })).await;
        for _ in 0..12 {
            world.done(agent_of(BOB), message(TALK, &"x".repeat(16 * 1024))).await;
        }
        let (page, _) = history(&world, agent_of(BOB), true, 64, 100).await;
        assert!((1..12).contains(&page.len()), "{}", page.len());
        let (page, _) = history(&world, agent_of(BOB), false, u64::MAX, 100).await;
        assert_eq!(page.last().map(|entry| entry.seq), Some(76));
        assert!((1..12).contains(&page.len()), "{}", page.len());

        let ask = |who| world.query(who, Query::History { conversation: TALK, forward: true, from: 0, limit: 5 });
        for stranger in [customer_of(CID), agent_of(DAN), jono_domain::account::Who::Root] {
            assert_eq!(ask(stranger).await, Err(Refusal::NotFound));
        }
        assert!(ask(agent_of(EVE)).await.is_ok(), "agents of the queue look on");
    });
}

#[test]
fn lists_are_in_order_over_all_queues_and_end() {
    run(async {
        let world = World::begin().await;
        for number in 0..230 {
            let queue = if number % 2 == 0 { SALES } else { TECH };
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), queue, "hello")).await;
            world.clock.advance(10);
        }
        world.until(async || world.queue(SALES).await.waiting + world.queue(TECH).await.waiting == 230).await;
        for number in [0, 1, 2, 3, 100, 101] {
            let agent = if number % 2 == 0 { BOB } else { DAN };
            world.done(agent_of(agent), claim(talk(number))).await;
        }
        for number in 200..230 {
            world.clock.advance(10);
            world.done(customer_of(visitor(number)), close(talk(number))).await;
        }
        world.quiet().await;
        for limit in [1, 7, 99, 100] {
            let all: Vec<Row> = pages(&world, agent_of(ODA), View::Open, None, limit).await.concat();
            assert_eq!(all.len(), 200, "{limit}");
            let order: Vec<_> = all.iter().map(|row| (row.state, row.last_message_at, row.conversation)).collect();
            assert!(order.is_sorted());
            assert_eq!(all.iter().filter(|row| row.holder.is_some()).count(), 6);
            let sales: Vec<Row> = pages(&world, agent_of(BOB), View::Open, None, limit).await.concat();
            assert_eq!(sales, pages(&world, agent_of(ODA), View::Open, Some(SALES), limit).await.concat());
            assert_eq!(sales.len(), 100);

            let closed: Vec<Row> = pages(&world, agent_of(ODA), View::Closed, None, limit).await.concat();
            let expected: Vec<_> = (200..230).rev().map(talk).collect();
            assert_eq!(closed.iter().map(|row| row.conversation).collect::<Vec<_>>(), expected, "newest first");
            assert_eq!(pages(&world, agent_of(DAN), View::Closed, None, limit).await.concat().len(), 15);
            let mine: Vec<Row> = pages(&world, agent_of(BOB), View::Mine, None, limit).await.concat();
            assert_eq!(mine.iter().map(|row| row.conversation).collect::<Vec<_>>(), [talk(0), talk(2), talk(100)]);
        }
        let list = |view, queue, cursor: Option<&str>| Query::List { view, queue, cursor: cursor.map(str::to_owned), limit: 5 };
        for view in [View::Open, View::Closed] {
            assert_eq!(world.query(agent_of(BOB), list(view, Some(TECH), None)).await, Err(Refusal::NotFound));
            assert_eq!(world.query(customer_of(ANN), list(view, None, None)).await, Err(Refusal::Forbidden));
            for bad in ["", "x", "zz", "ü", &"0".repeat(49).replace('0', "+")] {
                let answer = world.query(agent_of(BOB), list(view, None, Some(bad))).await;
                assert!(answer.is_ok() || answer == Err(Refusal::invalid("cursor")), "{bad}: {answer:?}");
            }
        }
    });
}

#[test]
fn search_finds_every_word_in_open_and_ended_conversations() {
    run(async {
        let world = World::begin().await;
        for number in 0..12 {
            let queue = if number % 3 == 0 { TECH } else { SALES };
            let text = format!("My Printer number {number} is on fire");
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), queue, &text)).await;
            world.done(customer_of(visitor(number)), message(talk(number), "please hurry")).await;
            world.clock.advance(MINUTE);
            if number % 2 == 0 {
                world.done(customer_of(visitor(number)), close(talk(number))).await;
            }
        }
        world.quiet().await;
        let search = async |who, text: &str, queue, from: Option<Time>, to: Option<Time>, limit| {
            let mut all: Vec<Hit> = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let query = Query::Search { text: text.into(), queue, from, to, cursor, limit };
                match world.query(who, query).await {
                    Ok(Outcome::Found { hits, cursor: next }) => {
                        all.extend(hits);
                        match next {
                            Some(next) => cursor = Some(next),
                            None => return all,
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        for limit in [1, 2, 100] {
            let all = search(agent_of(ODA), "FIRE printer", None, None, None, limit).await;
            let mut found: Vec<_> = all.iter().map(|hit| hit.row.conversation).collect();
            found.sort();
            assert_eq!(found, (0..12).map(talk).collect::<Vec<_>>(), "{limit}");
            assert_eq!(search(agent_of(BOB), "printer", None, None, None, limit).await.len(), 8);
            assert_eq!(search(agent_of(ODA), "printer", Some(TECH), None, None, limit).await.len(), 4);
            assert_eq!(search(agent_of(ODA), "printer hurry", None, None, None, limit).await.len(), 0);
            let (from, to) = (Some(BEGINNING + 3 * MINUTE), Some(BEGINNING + 6 * MINUTE));
            assert_eq!(search(agent_of(ODA), "printer", None, from, to, limit).await.len(), 3);
        }
        // Several hits of one conversation stay together, up to a number.
        for number in 0..HITS_PER_CONVERSATION_MAX + 5 {
            world.done(customer_of(visitor(1)), message(talk(1), &format!("zebra {number}"))).await;
        }
        assert_eq!(search(agent_of(BOB), "zebra", None, None, None, 1).await.len(), HITS_PER_CONVERSATION_MAX);

        let query = |who, text: &str, cursor: Option<&str>| {
            let query = Query::Search {
                text: text.into(),
                queue: None,
                from: None,
                to: None,
                cursor: cursor.map(str::to_owned),
                limit: 5,
            };
            world.query(who, query)
        };
        assert_eq!(query(agent_of(BOB), "  ", None).await, Err(Refusal::invalid("text")));
        assert_eq!(query(customer_of(ANN), "x", None).await, Err(Refusal::Forbidden));
        for bad in ["", "ü", "o", "c0", "x12", "oü"] {
            assert_eq!(query(agent_of(BOB), "x", Some(bad)).await, Err(Refusal::invalid("cursor")), "{bad}");
        }
    });
}
