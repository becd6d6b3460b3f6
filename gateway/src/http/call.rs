//! One request as its handler gets it: who calls, the parts of the path, and the way to the engine.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use jono_domain::account::Who;
use jono_domain::message::Order;
use jono_domain::organisation::{Change, Command, Organisation};
use jono_domain::reply::Reply;
use jono_engine::request::Outcome;

use super::problem::Problem;
use super::state::State;
use crate::auth::random_bits;

/// One request, as its handler gets it.
pub(super) struct Call {
    pub(super) state: Arc<State>,
    /// Public routes are called by nobody in particular.
    pub(super) who: Option<Who>,
    /// The organisation in the path, as it was when the request came.
    pub(super) found: Option<Arc<Organisation>>,
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    /// The client's `Idempotency-Key`.
    pub(super) key: Option<String>,
    /// Method and path: the same key on another route is another request.
    pub(super) place: String,
    pub(super) address: IpAddr,
}

impl Call {
    /// The organisation in the path; the dispatcher has found it.
    pub(super) fn organisation(&self) -> &Arc<Organisation> {
        self.found.as_ref().expect("the route is of an organisation")
    }

    /// An id in the path. A text that is no id is one that nobody has.
    pub(super) fn id<I: FromStr>(&self, name: &str) -> Result<I, Problem> {
        self.word(name).parse().map_err(|_| Problem::not_found())
    }

    /// A part of the path.
    pub(super) fn word(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// Has the request a key? Then it may be a repetition of one that was served.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// 32 bytes nobody can guess: fresh ones, or for a request with a key always the same, so that its
    /// repetition makes the same id and tells the same secret.
    pub(super) fn fresh(&self, purpose: &str) -> [u8; 32] {
        match &self.key {
            Some(key) => self.state.auth.derive(purpose, &format!("{} {} {key}", self.author(), self.place)),
            None => {
                let mut bytes = [0; 32];
                bytes[..16].copy_from_slice(&random_bits().to_be_bytes());
                bytes[16..].copy_from_slice(&random_bits().to_be_bytes());
                bytes
            }
        }
    }

    /// Who calls, as a text that is always the same.
    fn author(&self) -> String {
        match self.who {
            None => "nobody".into(),
            Some(Who::Root) => "root".into(),
            Some(Who::Engine) => "engine".into(),
            Some(Who::Agent(organisation, agent)) => format!("{organisation}/{agent}"),
            Some(Who::Customer(organisation, customer)) => format!("{organisation}/{customer}"),
        }
    }

    /// The bits of a new id.
    pub(super) fn fresh_bits(&self) -> u128 {
        self.fresh("id")[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    /// Changes the organisation in the path.
    pub(super) async fn change(&self, change: Change) -> Result<(), Problem> {
        let id = self.organisation().id;
        self.ask(Order::Organisation(id, Box::new(Command::Change(Box::new(change))))).await.map(|_| ())
    }

    /// Asks the engine in the caller's name.
    pub(super) async fn ask(&self, order: Order) -> Result<Reply, Problem> {
        // The engine's keys are one space per author and entity; the route belongs to the request.
        self.ask_under(self.key.as_ref().map(|_| hex(&self.fresh("request"))), order).await
    }

    /// Asks without changing anything: the request's key is for what it changes.
    pub(super) async fn look(&self, order: Order) -> Result<Reply, Problem> {
        self.ask_under(None, order).await
    }

    async fn ask_under(&self, key: Option<String>, order: Order) -> Result<Reply, Problem> {
        let who = self.who.ok_or_else(Problem::forbidden)?;
        match self.state.admin.ask(who, key, order).await? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Following { .. } | Outcome::History { .. } | Outcome::Rows { .. } | Outcome::Found { .. } => Ok(Reply::Done),
        }
    }

    /// The organisation in the path as it is now, after a change.
    pub(super) fn organisation_now(&self) -> Result<Arc<Organisation>, Problem> {
        self.state.admin.directory().organisation(self.organisation().id).cloned().ok_or_else(Problem::not_found)
    }

    /// One page of a list that is ordered by name: `cursor` is the last name of the page before.
    pub(super) fn page<'a, N, V, T>(
        &self,
        list: &'a BTreeMap<N, V>,
        name: impl Fn(&N) -> String,
        show: impl Fn(&'a N, &'a V) -> T,
    ) -> Result<(Vec<T>, Option<String>), Problem>
    where
        N: Ord + FromStr,
    {
        const PAGE_MAX: usize = 1000;
        if let Some(other) = self.query.keys().find(|key| !matches!(key.as_str(), "cursor" | "limit")) {
            return Err(Problem::bad_request(format!("unknown parameter `{other}`")).in_field(Some(other)));
        }
        let limit = match self.query.get("limit").map(|text| text.parse()) {
            None => PAGE_MAX,
            Some(Ok(limit @ 1..=PAGE_MAX)) => limit,
            Some(_) => return Err(Problem::bad_request(format!("`limit` is 1 to {PAGE_MAX}")).in_field(Some("limit"))),
        };
        let after = match self.query.get("cursor").map(|text| text.parse::<N>()) {
            None => std::ops::Bound::Unbounded,
            Some(Ok(after)) => std::ops::Bound::Excluded(after),
            Some(Err(_)) => return Err(Problem::bad_request("`cursor` is not one of this list").in_field(Some("cursor"))),
        };
        let mut rest = list.range((after, std::ops::Bound::Unbounded));
        let mut last = None;
        let shown =
            rest.by_ref().take(limit).inspect(|(key, _)| last = Some(*key)).map(|(key, value)| show(key, value)).collect();
        let cursor = rest.next().and(last).map(name);
        Ok((shown, cursor))
    }
}

/// In hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
