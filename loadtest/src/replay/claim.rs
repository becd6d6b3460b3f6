//! Who has the conversation: it is picked, claimed, handed over, released, and taken again when a
//! deadline has ended the claim meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agent::Taken;
use super::plan::Passing;
use super::play::{Halt, Play};
use super::report::add;
use super::seat::PATIENCE_PARTS;
use crate::client::{Answer, CallError, Event, Refusal};

/// How often a claim that was lost to a deadline is taken again for one request.
const RETAKES_MAX: usize = 5;
/// How often a hand-over is asked for while the other agent is not online (a server that was just
/// restarted) or holds as many conversations as one can, and the pause between.
const ASSIGNS_MAX: usize = 100;
const ASSIGN_PAUSE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub session: usize,
    claim: Option<u64>,
}

impl Play {
    pub(super) async fn wait_for_a_pick(&mut self) -> Result<Taken, Halt> {
        let patience = self.stage.settings.patience;
        let part = patience / PATIENCE_PARTS;
        let mut waited = Duration::ZERO;
        while waited < patience {
            let began = Instant::now();
            if let Ok(taken) = tokio::time::timeout(part, self.taken.recv()).await {
                let taken = taken.ok_or_else(|| Halt::Stop("nobody picks any more".to_owned()))?;
                // A pick that came to what a claim by the same account had yielded already is old news.
                if !self.takes.iter().any(|(claim, _)| *claim == taken.claim) {
                    return Ok(taken);
                }
                continue;
            }
            let seats = self.stage.desk.sessions.iter().map(|session| &session.seat).chain([&self.customer]);
            let clients: Vec<_> = seats.map(|seat| &seat.client).collect();
            if let Some(ended) = clients.iter().find_map(|client| client.ended()) {
                return Err(Halt::Stop(ended.to_string()));
            }
            let claimed = self.claimed_unheard().is_some();
            // While others are picked, the turn of this one will come.
            let others = self.stage.tally.picked_at.get().is_some_and(|at| at >= began);
            if clients.iter().all(|client| client.was_connected_since(began)) && (claimed || !others) {
                waited += part;
            }
        }
        let (check, expected, got) = match self.claimed_unheard() {
            // Taken, and nobody was told: a pick was applied and answered with something else.
            Some(event) => {
                let got = format!("{} claimed it as event {}", event.by, event.seq);
                ("claims", "a pick to be answered with this conversation", got)
            }
            None => ("waiting", "to be offered to an agent", format!("nothing within {} s", patience.as_secs_f64())),
        };
        let difference = self.difference("queue", check, expected.to_owned(), got);
        self.note(difference);
        Err(Halt::Cut)
    }

    /// A claim that the customer was told of, and no agent.
    fn claimed_unheard(&self) -> Option<Event> {
        let recorder = self.customer.recorder.borrow();
        let known = |claim| self.takes.iter().any(|(known, _)| Some(*known) == claim);
        let mut shown = recorder.get(&self.conversation)?.shown();
        shown.find(|event| event.kind == "claimed" && !known(event.body["claim"].as_u64())).cloned()
    }

    /// Notes who has it now. The same claim may be heard of twice: as a pick, and as a claim by the same account.
    pub(super) fn has_taken(&mut self, taken: Taken) {
        let account = self.stage.desk.sessions[taken.session].account.clone();
        if !self.takes.iter().any(|(claim, _)| *claim == taken.claim) {
            self.takes.push((taken.claim, account));
        }
        self.stage.desk.no_longer_waits(&self.conversation);
        self.is_held_by(taken.session, Some(taken.claim));
    }

    fn is_held_by(&mut self, session: usize, claim: Option<u64>) {
        self.let_go();
        self.stage.desk.hold(session);
        let account = &self.stage.desk.sessions[session].account;
        if !self.holders.contains(account) {
            self.holders.push(account.clone());
        }
        self.holder = Some(Holder { session, claim });
    }

    pub(super) fn let_go(&mut self) {
        if let Some(holder) = self.holder.take() {
            self.stage.desk.let_go(holder.session);
        }
    }

    pub(super) async fn pass_to(&mut self, session: usize, passing: Passing) -> Result<(), Halt> {
        let Some(holder) = self.holder else { return Err(Halt::Cut) };
        if holder.session == session {
            return Ok(());
        }
        let sessions = &self.stage.desk.sessions;
        if sessions[holder.session].account == sessions[session].account {
            // The same account in another window: the claim is the account's.
            self.is_held_by(session, holder.claim);
            return Ok(());
        }
        match passing {
            Passing::Assign => self.assign(session).await,
            Passing::Release => {
                let answer = self.as_holder("conversation.release", json!({})).await?;
                let from = self.holder.map(|holder| holder.session);
                self.did("released", from, None, &answer)?;
                add(&self.stage.tally.releases, 1);
                self.let_go();
                self.claim(session).await
            }
        }
    }

    async fn assign(&mut self, session: usize) -> Result<(), Halt> {
        let account = self.stage.desk.sessions[session].account.clone();
        let mut attempts = 0;
        let answer = loop {
            attempts += 1;
            let holder = self.holder.ok_or(Halt::Cut)?;
            let params = json!({ "conversation": self.conversation, "agent": account, "claim": holder.claim });
            let answer = self.client(Some(holder.session)).change("conversation.assign", without_nulls(params)).await;
            match answer {
                Err(CallError::Refused(refusal))
                    if attempts < ASSIGNS_MAX && matches!(refusal.reason(), "no_agents" | "conflict") =>
                {
                    tokio::time::sleep(ASSIGN_PAUSE).await;
                }
                Err(CallError::Refused(refusal)) if attempts < ASSIGNS_MAX && is_claim(&refusal) => {
                    add(&self.stage.tally.claims_lost, 1);
                    self.let_go();
                    return Box::pin(self.claim(session)).await;
                }
                Err(error) => return Err(self.halt(Some(holder.session), "conversation.assign", error)),
                Ok(answer) => break answer,
            }
        };
        self.did("assigned", self.holder.map(|holder| holder.session), None, &answer)?;
        add(&self.stage.tally.handovers, 1);
        let seq = answer.seq().unwrap_or_default();
        self.seen(Some(session), seq).await?;
        let claim = {
            let recorder = self.stage.desk.sessions[session].seat.recorder.borrow();
            let view = recorder.get(&self.conversation);
            let assigned = view.and_then(|view| view.shown().find(|event| event.seq == seq));
            assigned.and_then(|event| event.body.get("claim").and_then(Value::as_u64))
        };
        self.is_held_by(session, claim);
        Ok(())
    }

    /// A certain session takes the conversation. Somebody who picks may be faster; then it is handed over.
    async fn claim(&mut self, session: usize) -> Result<(), Halt> {
        let params = json!({ "conversation": self.conversation });
        match self.client(Some(session)).change("conversation.claim", params).await {
            Ok(answer) => {
                let claim = answer.result.get("claim").and_then(Value::as_u64).unwrap_or_default();
                self.has_taken(Taken { session, claim });
                Ok(())
            }
            Err(CallError::Refused(refusal)) if refusal.reason() == "claim_held" => {
                let taken = self.wait_for_a_pick().await?;
                self.has_taken(taken);
                let sessions = &self.stage.desk.sessions;
                if sessions[taken.session].account == sessions[session].account {
                    self.is_held_by(session, Some(taken.claim));
                    return Ok(());
                }
                Box::pin(self.assign(session)).await
            }
            Err(error) => Err(self.halt(Some(session), "conversation.claim", error)),
        }
    }

    /// Asks under the claim; takes it again if a deadline has ended it meanwhile.
    pub(super) async fn as_holder(&mut self, method: &'static str, mut params: Value) -> Result<Answer, Halt> {
        params["conversation"] = self.conversation.as_str().into();
        for attempt in 1.. {
            let holder = self.holder.ok_or(Halt::Cut)?;
            params["claim"] = json!(holder.claim);
            match self.client(Some(holder.session)).change(method, without_nulls(params.clone())).await {
                Err(CallError::Refused(refusal)) if is_claim(&refusal) && attempt <= RETAKES_MAX => {
                    add(&self.stage.tally.claims_lost, 1);
                    self.let_go();
                    Box::pin(self.claim(holder.session)).await?;
                }
                other => return other.map_err(|error| self.halt(Some(holder.session), method, error)),
            }
        }
        unreachable!("the loop returns at the last attempt")
    }
}

/// The claim is somebody else's, or nobody's.
pub(super) fn is_claim(refusal: &Refusal) -> bool {
    matches!(refusal.reason(), "claim_lost" | "claim_held" | "conflict")
}

fn without_nulls(mut params: Value) -> Value {
    if let Value::Object(fields) = &mut params {
        fields.retain(|_, value| !value.is_null());
    }
    params
}
