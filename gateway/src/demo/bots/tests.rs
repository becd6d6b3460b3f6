use std::future::Future;

use jono_domain::conversation::{CloseCause, RowState};
use jono_domain::queue;
use jono_engine::EngineConfig;
use jono_engine::request::{Query, View};
use jono_store::MemoryStore;
use tokio::sync::oneshot;

use super::*;

const ANNA: &str = "agt_demoannaaaaaaaaaaaaaaaaaaa";
const OLIVIA: &str = "agt_demooliviaaaaaaaaaaaaaaaaa";
/// A guard against tests that hang; nothing waits that long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything at once, but for a patience that does not end.
const FAST: Pace = Pace {
    first: (0, 1),
    between: (1, 3),
    claim: (1, 3),
    read: (0, 2),
    typed: (0, 0),
    retry: (200, 300),
    patience: (60_000, 60_000),
    is_for_robo: |_| false,
};

async fn patiently<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens")
}

fn agent(id: &str) -> Who {
    Who::Agent(known(ORGANISATION), known(id))
}

async fn query(engine: &Engine, query: Query) -> Outcome {
    let (sender, receiver) = oneshot::channel();
    engine.query(agent(OLIVIA), query, ReplyTo::Once(sender)).unwrap();
    receiver.await.unwrap().unwrap()
}

async fn rows(engine: &Engine, view: View) -> Vec<conversation::Row> {
    match query(engine, Query::List { view, queue: None, cursor: None, limit: 100 }).await {
        Outcome::Rows { rows, .. } => rows,
        other => panic!("{other:?}"),
    }
}

/// The first rows of the list that are enough.
async fn until(engine: &Engine, view: View, is_enough: impl Fn(&[conversation::Row]) -> bool) -> Vec<conversation::Row> {
    let wait = async {
        loop {
            let rows = rows(engine, view).await;
            if is_enough(&rows) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    patiently(wait).await
}

async fn log(engine: &Engine, conversation: ConversationId) -> Vec<Entry> {
    match query(engine, Query::History { conversation, forward: true, from: 0, limit: 100 }).await {
        Outcome::History { entries, .. } => entries,
        other => panic!("{other:?}"),
    }
}

/// Who said what: the visitor's lines, and the agents'.
fn said(log: &[Entry]) -> (Vec<&str>, Vec<(AgentId, &str)>) {
    let (mut lines, mut answers) = (Vec::new(), Vec::new());
    for entry in log {
        match (&entry.body, entry.by) {
            (Body::Message { text }, Author::Agent(agent)) => answers.push((agent, text.as_str())),
            (Body::Message { text }, _) => lines.push(text.as_str()),
            _ => {}
        }
    }
    (lines, answers)
}

fn talk_of(log: &[Entry]) -> &'static Talk {
    let (lines, _) = said(log);
    TALKS.iter().find(|talk| talk.line(0) == lines.first().copied()).expect("a talk begins so")
}

fn closed_by(log: &[Entry]) -> Option<CloseCause> {
    log.iter().find_map(|entry| if let Body::Closed { cause, .. } = entry.body { Some(cause) } else { None })
}

fn run<F: Future<Output = ()>>(pace: Pace, test: impl FnOnce(Engine, Bots) -> F) {
    actix_rt::System::new().block_on(async {
        let config = EngineConfig { arbiters: 1, shards: 4, ..EngineConfig::default() };
        let engine = Engine::start(Arc::new(MemoryStore::new()), config).await.unwrap();
        super::super::create(&engine).await.unwrap();
        let bots = Bots::start_at(&engine, pace).await.unwrap();
        test(engine.clone(), bots).await;
        engine.stop().await;
    });
}

#[test]
fn robo_serves_its_visitors_to_the_end() {
    run(Pace { is_for_robo: |_| true, ..FAST }, async |engine: Engine, bots: Bots| {
        let ended = until(&engine, View::Closed, |rows| rows.len() > VISITS_MAX).await;
        for row in &ended {
            let log = log(&engine, row.conversation).await;
            let talk = talk_of(&log);
            let (lines, answers) = said(&log);
            let expected: Vec<_> = talk.turns.iter().map(|(line, _)| *line).chain([talk.thanks]).collect();
            assert_eq!(lines, expected);
            assert_eq!(answers, talk.turns.iter().map(|(_, answer)| (known(ROBO), *answer)).collect::<Vec<_>>());
            assert_eq!((closed_by(&log), row.queue), (Some(CloseCause::Agent), known(SUPPORT)));
        }
        bots.stop().await;
    });
}

#[test]
fn whom_nobody_serves_leaves() {
    run(Pace { patience: (20, 30), ..FAST }, async |engine: Engine, bots: Bots| {
        let ended = until(&engine, View::Closed, |rows| rows.len() > VISITS_MAX).await;
        let log = log(&engine, ended[0].conversation).await;
        assert_eq!((closed_by(&log), said(&log).0.len()), (Some(CloseCause::Customer), 1));
        assert!(!log.iter().any(|entry| matches!(entry.body, Body::Claimed { .. })));
        bots.stop().await;
    });
}

#[test]
fn a_person_serves_a_visitor_who_thanks_and_leaves() {
    run(FAST, async |engine: Engine, bots: Bots| {
        until(&engine, View::Open, |rows| rows.len() == VISITS_MAX).await;
        let pick = Order::Queue(known(SUPPORT), Box::new(queue::Command::Pick { missed: 0 }));
        let Ok(Outcome::Reply(Reply::Claimed { conversation, .. })) = engine.ask(agent(ANNA), None, pick).await else {
            panic!("there is somebody to pick")
        };
        let answer = |count: usize| conversation::Command::Send { claim: None, text: format!("answer {count}") };
        let log = patiently(async {
            loop {
                let log = log(&engine, conversation).await;
                let (lines, answers) = said(&log);
                if closed_by(&log).is_some() {
                    return log;
                }
                if lines.len() > answers.len() && lines.len() <= talk_of(&log).turns.len() {
                    let order = Order::Conversation(conversation, Box::new(answer(lines.len())));
                    engine.ask(agent(ANNA), None, order).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let log = log.await;
        assert_eq!(closed_by(&log), Some(CloseCause::Customer));
        assert_eq!(said(&log).0.last().copied(), Some(talk_of(&log).thanks));
        bots.stop().await;
    });
}

#[test]
fn so_many_are_there_at_a_time_and_all_leave_at_the_end() {
    run(FAST, async |engine: Engine, bots: Bots| {
        let there = until(&engine, View::Open, |rows| rows.len() >= VISITS_MAX).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(rows(&engine, View::Open).await.len(), VISITS_MAX);
        assert!(there.iter().all(|row| row.state == RowState::Waiting && row.queue == known(SUPPORT)));
        bots.stop().await;
        until(&engine, View::Open, <[_]>::is_empty).await;
        assert_eq!(rows(&engine, View::Closed).await.len(), VISITS_MAX);
    });
}

#[test]
fn talks_are_pleasantly_short() {
    for talk in TALKS {
        assert!((1..=4).contains(&talk.turns.len()) && talk.line(talk.turns.len() + 1).is_none(), "{}", talk.name);
        assert!(talk.turns.iter().all(|(line, answer)| line.len() < 200 && answer.len() < 200), "{}", talk.name);
    }
    assert!(TALKS.len() > VISITS_MAX);
}
