//! What Jono needs before it can be loaded: a queue and a site for every worker, and agents with tokens. Made in the operator's
//! organisation, and removed at the end, so that neither people nor other runs meet the visitors of this one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::{Value, json};

use super::{Stop, http};
use crate::client::{Client, ClientConfig, Identity, Notification, Observer, Opened, Totals};
use crate::play::share;
use crate::scenario::Scenario;
use crate::target::jono::{Account, Place};

/// What was made, by path; removed in reverse.
#[derive(Debug)]
pub(super) struct Prepared {
    address: SocketAddr,
    token: String,
    made: Vec<String>,
    /// One for each worker.
    pub places: Vec<Place>,
}

/// Makes everything, or takes what the scenario names.
pub(super) fn prepare(scenario: &Scenario, address: SocketAddr, workers: u32, run: u32) -> Result<Prepared, Stop> {
    let target = &scenario.target;
    let mut prepared = Prepared { address, token: target.operator.clone(), made: Vec::new(), places: Vec::new() };
    if !target.queue.is_empty() {
        if workers > 1 || (target.tokens.len() as u64) < scenario.population.agents {
            return Err(Stop::usage("with a queue of its own a run has one worker and as many tokens as agents"));
        }
        let agents = target.tokens.iter().map(|token| Account { id: String::new(), token: token.clone() }).collect();
        let place = Place { site: target.site.clone(), queue: target.queue.clone(), agents, agents_from: 0, run };
        prepared.places.push(place);
        return Ok(prepared);
    }
    let organisation = organisation(&target.url, &target.operator)?;
    let mut agents_from = 0;
    for worker in 0..workers {
        let agents = share(scenario.population.agents, worker, workers) as u32;
        let place = prepared.place(&organisation, (worker, run), (agents_from, agents)).map_err(Stop::unreachable)?;
        prepared.places.push(place);
        agents_from += agents;
    }
    Ok(prepared)
}

impl Prepared {
    fn make(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        let made = http::ask(self.address, "POST", path, &self.token, Some(body))?;
        if let Some(id) = made["id"].as_str() {
            self.made.push(format!("{path}/{id}"));
        }
        Ok(made)
    }

    fn place(&mut self, organisation: &str, (worker, run): (u32, u32), (from, count): (u32, u32)) -> Result<Place, String> {
        let base = format!("/v1/organisations/{organisation}");
        let name = format!("Load test {run:08x}-{worker}");
        // Nobody is to be released or closed for being slow: the load decides when things end.
        let settings = json!({"release_after_ms": 86_400_000, "close_after_ms": 86_400_000, "release_clock": "always",
            "warn_before_ms": 60_000, "edit_after_close_ms": 21_600_000, "typing_preview": false, "show_position": true,
            "waiting_max": null, "transfer_targets": null});
        let queue = self.make(&format!("{base}/queues"), &json!({"name": name, "settings": settings}))?;
        let queue = queue["id"].as_str().ok_or("a queue without an id")?.to_owned();
        let site = format!("load-{run:08x}-{worker}");
        self.make(&format!("{base}/sites"), &json!({"key": site, "name": name, "queues": [queue]}))?;
        let mut agents = Vec::new();
        for number in from..from + count {
            let body = json!({"name": format!("{name} agent {number}"), "kind": "bot", "queues": [queue]});
            let agent = self.make(&format!("{base}/agents"), &body)?;
            let id = agent["id"].as_str().ok_or("an agent without an id")?.to_owned();
            let tokens = format!("{base}/agents/{id}/tokens");
            let token = http::ask(self.address, "POST", &tokens, &self.token, Some(&json!({"label": "load test"})))?;
            let token = token["secret"].as_str().ok_or("a token without a secret")?.to_owned();
            agents.push(Account { id, token });
        }
        Ok(Place { site, queue, agents, agents_from: from, run })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // The server may be gone; then there is nothing to be tidied.
            if http::ask(self.address, "DELETE", path, &self.token, None).is_err() {
                return;
            }
        }
    }
}

/// Somebody who only wants to know who they are.
struct Nobody;

impl Observer for Nobody {
    fn since(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn opened(&mut self, _: &Opened, _: &[(String, u64)]) {}

    fn notified(&mut self, _: Notification<'_>) {}
}

/// The organisation of the operator's token.
fn organisation(url: &str, token: &str) -> Result<String, Stop> {
    let config = ClientConfig {
        urls: vec![url.to_owned()],
        url_first: 0,
        identity: Identity::Agent { token: token.to_owned() },
        key_prefix: "load-prepare".to_owned(),
        patient_at_start: false,
        seed: 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stop::usage(error.to_string()))?;
    let opened = tokio::task::LocalSet::new().block_on(&runtime, async {
        let client = Client::start(config, Rc::new(RefCell::new(Nobody)), Rc::new(Totals::default()));
        let opened = client.opened().await;
        client.close();
        opened
    });
    let opened =
        opened.map_err(|ended| Stop::unreachable(format!("{ended}\nis the server running, and the operator's token right?")))?;
    match opened.organisation["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(Stop::unreachable("the server does not say which organisation the operator belongs to")),
    }
}
