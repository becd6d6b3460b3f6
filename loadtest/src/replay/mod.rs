//! `replay`: plays recorded conversations through real sockets and judges what every session was shown.
//!
//! Reading order: what is to happen (`plan`), who does it (`seat`, `agent`, `play`, `claim`, `ending`), what is
//! written down (`view`), and what is made of it (`judge`, `report`).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::client::{CallError, Client, ClientConfig, Ended, Identity, QueueRow, Totals};
use crate::corpus::Script;

mod agent;
mod claim;
mod ending;
mod judge;
mod plan;
mod play;
mod progress;
mod report;
mod seat;
mod server;
mod speed;
mod view;

pub use judge::Difference;
pub use report::Report;

use agent::{Desk, Session};
use report::{Tally, add};
use seat::Seat;
use view::{Recorder, Side};

/// Conversations with a difference after which no more are begun: the case is clear.
const DIFFERING_MAX: u64 = 50;
/// Pages of a list that are read: more than any server of ours holds.
const LIST_PAGES_MAX: usize = 10_000;
/// How long sessions may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// What to replay, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ws://host:port/path` of each gateway; sessions are spread over them.
    pub urls: Vec<String>,
    /// Recorded seconds per second; 0 is without pauses.
    pub speed: f64,
    /// Conversations under way at a time.
    pub concurrency: usize,
    /// Agent sessions, spread over the accounts.
    pub agents: usize,
    /// The public key of the site.
    pub site: String,
    /// Id or name; `None` is the first that the site offers and every agent serves.
    pub queue: Option<String>,
    /// One per agent account.
    pub tokens: Vec<String>,
    /// Of all choices.
    pub seed: u64,
    /// Customers, in percent, whose connection falls once on the way.
    pub drop_percent: u64,
    /// How long something may take to be shown to a connected session.
    pub patience: Duration,
    /// A server to start, and to end afterwards: program and arguments.
    pub server: Vec<String>,
    /// How often that server is killed without warning.
    pub kill_every: Option<Duration>,
    /// Tell the progress on standard error.
    pub progress: bool,
}

/// The run could not begin.
#[derive(Debug)]
pub struct CannotRun(pub String);

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotRun {}

/// What everybody who plays needs.
struct Stage {
    settings: Settings,
    desk: Rc<Desk>,
    /// Its id.
    queue: String,
    /// No two runs have the same: keys are remembered for a day.
    run: String,
    tally: Rc<Tally>,
    totals: Rc<Totals>,
}

/// Tasks that end with the run.
#[derive(Default)]
struct Background(Vec<JoinHandle<()>>);

impl Background {
    fn run(&mut self, task: impl Future<Output = ()> + 'static) {
        self.0.push(tokio::task::spawn_local(task));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Plays all scripts. Call inside a [`tokio::task::LocalSet`].
///
/// # Errors
/// [`CannotRun`] if nothing was played; once it has begun, whatever happens is in the report.
pub async fn run(settings: Settings, scripts: Vec<Script>) -> Result<Report, CannotRun> {
    let tally = Rc::new(Tally::new());
    let totals = Rc::new(Totals::default());
    let server = match &settings.server[..] {
        [] => None,
        command => {
            let started = server::Server::start(command.to_vec());
            Some(started.map_err(|error| CannotRun(format!("cannot start {:?}: {error}", command[0])))?)
        }
    };
    let run = format!("{:013x}", RandomState::new().hash_one(Instant::now()) >> 12);
    let (sessions, queue) = open(&settings, &run, &totals).await?;
    let desk = Desk::new(sessions, queue.id.clone(), Rc::clone(&tally));
    let stage = Rc::new(Stage { settings, desk, queue: queue.id, run, tally, totals });

    let mut background = Background::default();
    for session in 0..stage.desk.sessions.len() {
        let desk = Rc::clone(&stage.desk);
        background.run(async move { drop(desk.pick_on(session).await) });
    }
    if stage.settings.progress {
        background.run(progress::show(Rc::clone(&stage.tally), Rc::clone(&stage.totals), scripts.len()));
    }
    let mut killing = Background::default();
    if let (Some(server), Some(every)) = (&server, stage.settings.kill_every) {
        let (server, tally) = (Rc::clone(server), Rc::clone(&stage.tally));
        killing.run(async move {
            eprintln!("jono-load: the server cannot be started again: {}", server.kill_every(every, tally).await)
        });
    }
    let began = Instant::now();
    let planned = scripts.len();
    let stopped = play_all(&stage, scripts).await;
    let took = began.elapsed();
    drop(killing);
    drop(background);
    if stage.settings.progress {
        progress::finish();
    }
    if stopped.is_none() {
        check_lists(&stage).await;
    }
    say_goodbye(&stage).await;
    Ok(Report::new(&stage.tally, &stage.totals, planned, took, stopped))
}

/// Opens the agents' sessions, and finds the queue.
async fn open(settings: &Settings, run: &str, totals: &Rc<Totals>) -> Result<(Vec<Session>, QueueRow), CannotRun> {
    let config = |identity, number: usize, key: String| ClientConfig {
        urls: settings.urls.clone(),
        url_first: number,
        identity,
        key_prefix: key,
        patient_at_start: !settings.server.is_empty(),
        seed: settings.seed ^ (number as u64) << 32,
    };
    let probe = Identity::Customer { site: settings.site.clone(), name: None };
    let recorder = Rc::new(RefCell::new(Recorder::new(Side::Customer)));
    let probe = Client::start(config(probe, 0, format!("{run}-p")), recorder, Rc::clone(totals));
    let offered = probe.opened().await.map_err(cannot_open)?.queues.clone();
    probe.close();

    let mut sessions = Vec::new();
    let mut served: Vec<Vec<QueueRow>> = Vec::new();
    for number in 0..settings.agents {
        let token = settings.tokens[number % settings.tokens.len()].clone();
        let seat = Seat::take(config(Identity::Agent { token }, number, format!("{run}-a{number}")), Side::Agent, totals);
        let opened = seat.client.opened().await.map_err(cannot_open)?;
        served.push(opened.queues.clone());
        sessions.push(Session::new(number, seat, &opened));
    }
    let accounts: HashSet<&str> = sessions.iter().map(|session| session.account.as_str()).collect();
    if accounts.len() < settings.tokens.len().min(settings.agents) {
        return Err(CannotRun("two tokens belong to the same account".to_owned()));
    }
    let queue = choose_queue(settings.queue.as_deref(), &offered, &served)?;
    Ok((sessions, queue))
}

fn cannot_open(ended: Ended) -> CannotRun {
    let hint =
        "is the server running? `jono serve --demo --no-bots` listens on 127.0.0.1:8080; --url, --site and --token say otherwise";
    CannotRun(format!("cannot open a session at {ended}\n{hint}"))
}

fn choose_queue(wanted: Option<&str>, offered: &[QueueRow], served: &[Vec<QueueRow>]) -> Result<QueueRow, CannotRun> {
    let by_all = |queue: &&QueueRow| served.iter().all(|queues| queues.iter().any(|other| other.id == queue.id));
    let names = || offered.iter().map(|queue| format!("{} ({})", queue.name, queue.id)).collect::<Vec<_>>().join(", ");
    let found = match wanted {
        Some(wanted) => {
            let named = offered.iter().find(|queue| queue.id == wanted || queue.name == wanted);
            let named = named.ok_or_else(|| CannotRun(format!("the site offers no queue {wanted:?}, but: {}", names())))?;
            Some(named).filter(by_all)
        }
        None => offered.iter().find(by_all),
    };
    found.cloned().ok_or_else(|| CannotRun(format!("no such queue is served by all agents; the site offers: {}", names())))
}

/// Keeps as many conversations under way as wanted; says why it stopped before the end, if it did.
async fn play_all(stage: &Rc<Stage>, scripts: Vec<Script>) -> Option<String> {
    let mut under_way = FuturesUnordered::new();
    let mut before: Option<Rc<Script>> = None;
    for (number, script) in (0..).zip(scripts) {
        let script = Rc::new(script);
        if let Some(before) = before.replace(Rc::clone(&script)).filter(|before| before.source == script.source) {
            tokio::time::sleep(speed::pause(script.start_s - before.start_s, stage.settings.speed)).await;
        }
        while under_way.len() >= stage.settings.concurrency {
            if let Some(why) = under_way.next().await.and_then(outcome) {
                return Some(why);
            }
        }
        if stage.tally.differing.get() >= DIFFERING_MAX {
            while under_way.next().await.is_some() {}
            return Some(format!("{DIFFERING_MAX} conversations differ"));
        }
        under_way.push(tokio::task::spawn_local(play::play(Rc::clone(stage), script, number)));
    }
    while let Some(played) = under_way.next().await {
        if let Some(why) = outcome(played) {
            return Some(why);
        }
    }
    None
}

fn outcome(played: Result<Result<(), String>, tokio::task::JoinError>) -> Option<String> {
    match played {
        Ok(played) => played.err(),
        Err(error) => Some(format!("the harness itself failed: {error}")),
    }
}

/// None of ours is left waiting or active.
async fn check_lists(stage: &Stage) {
    for (conversation, taken) in stage.desk.foreign() {
        // Not ours: whoever it belongs to finds it in the queue again.
        add(&stage.tally.foreign, 1);
        let params = json!({ "conversation": conversation, "claim": taken.claim });
        let _ = stage.desk.sessions[taken.session].seat.client.change("conversation.release", params).await;
    }
    let mut accounts: BTreeMap<&str, &Session> = BTreeMap::new();
    for session in &stage.desk.sessions {
        accounts.entry(&session.account).or_insert(session);
    }
    let deadline = Instant::now() + stage.settings.patience;
    for session in accounts.values() {
        for view in ["open", "mine"] {
            let left = loop {
                match listed(stage, &session.seat.client, view).await {
                    Ok(left) if left.is_empty() => break Ok(left),
                    Ok(left) if Instant::now() > deadline => break Ok(left),
                    Ok(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                    Err(error) => break Err(error),
                }
            };
            let (conversation, got) = match left {
                Ok(left) if left.is_empty() => continue,
                Ok(left) => (left[0].clone(), format!("{} of them, the first is named above", left.len())),
                Err(error) => (String::new(), error.to_string()),
            };
            stage.tally.differ(Difference {
                script: String::new(),
                conversation,
                view: session.name.clone(),
                check: "lists",
                expected: format!("none of our conversations in the list {view:?}"),
                got,
            });
        }
    }
}

async fn listed(stage: &Stage, client: &Client, view: &str) -> Result<Vec<String>, CallError> {
    let mut left = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..LIST_PAGES_MAX {
        let mut params = json!({ "view": view, "limit": 100 });
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let mut answer = client.ask("conversation.list", params).await?;
        let rows = answer.result["conversations"].take();
        let ids = rows.as_array().into_iter().flatten().filter_map(|row| row.get("id").and_then(Value::as_str));
        left.extend(ids.filter(|id| stage.desk.is_ours(id)).map(str::to_owned));
        cursor = answer.result["cursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    Ok(left)
}

async fn say_goodbye(stage: &Stage) {
    for session in &stage.desk.sessions {
        for remark in std::mem::take(&mut session.seat.recorder.borrow_mut().remarks) {
            stage.tally.differ(Difference {
                script: String::new(),
                conversation: remark.conversation,
                view: session.name.clone(),
                check: remark.check,
                expected: remark.expected,
                got: remark.got,
            });
        }
        session.seat.client.close();
    }
    let all_ended = async {
        while stage.desk.sessions.iter().any(|session| session.seat.client.ended().is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(GOODBYE_MAX, all_ended).await;
}
