//! One conversation, played turn by turn: the next turn is said when the one before was acknowledged
//! and seen by the other side. Writes down what was done. Who has the conversation is in `claim`, its end
//! and the judgement are in `ending`.

use std::rc::Rc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::agent::Taken;
use super::claim::{Holder, is_claim};
use super::judge::{Deed, Difference};
use super::plan::{Plan, Says, Step};
use super::report::add;
use super::seat::{Seat, Unseen};
use super::view::Side;
use super::{Stage, speed};
use crate::client::{Answer, CallError, ClientConfig, Identity, Refusal};
use crate::corpus::Script;

/// Why a conversation is not played to its end.
pub(super) enum Halt {
    /// A difference was noted.
    Cut,
    /// The whole run cannot go on.
    Stop(String),
}

/// The conversation under way.
pub(super) struct Play {
    pub stage: Rc<Stage>,
    pub script: Rc<Script>,
    pub plan: Plan,
    pub customer: Seat,
    pub customer_id: String,
    pub conversation: String,
    pub holder: Option<Holder>,
    /// Picks that came to it.
    pub taken: mpsc::UnboundedReceiver<Taken>,
    pub done: Vec<Deed>,
    /// Claims by number, and the account.
    pub takes: Vec<(u64, String)>,
    /// Accounts that have held it.
    pub holders: Vec<String>,
    tag: Option<String>,
    pub differences: u64,
    /// When the customer began.
    pub began: Instant,
}

/// Plays one script.
///
/// # Errors
/// Why the run cannot go on.
pub(super) async fn play(stage: Rc<Stage>, script: Rc<Script>, number: u64) -> Result<(), String> {
    let mut play = match Play::start(Rc::clone(&stage), Rc::clone(&script), number).await {
        Ok(play) => play,
        Err(Halt::Cut) => {
            add(&stage.tally.cut_short, 1);
            add(&stage.tally.differing, 1);
            return Ok(());
        }
        Err(Halt::Stop(why)) => return Err(why),
    };
    let end = match play.perform().await {
        Ok(()) => play.end().await,
        Err(halt) => Err(halt),
    };
    match end {
        Ok(()) => add(&stage.tally.conversations, 1),
        Err(Halt::Cut) => {
            add(&stage.tally.cut_short, 1);
            play.give_up().await;
        }
        Err(Halt::Stop(why)) => return Err(why),
    }
    play.judge().await
}

impl Play {
    async fn start(stage: Rc<Stage>, script: Rc<Script>, number: u64) -> Result<Self, Halt> {
        let began = Instant::now();
        let plan = Plan::new(&script, stage.settings.seed, number, stage.settings.drop_percent);
        let config = ClientConfig {
            urls: stage.settings.urls.clone(),
            url_first: number as usize,
            identity: Identity::Customer { site: stage.settings.site.clone(), name: Some(script.id.clone()) },
            key_prefix: format!("{}-c{number}", stage.run),
            patient_at_start: true,
            seed: stage.settings.seed ^ number,
        };
        let customer = Seat::take(config, Side::Customer, &stage.totals);
        let opened = customer.client.opened().await.map_err(|ended| Halt::Stop(ended.to_string()))?;
        let text = &script.turns[0].text;
        let started = customer.client.change("conversation.start", json!({ "queue": stage.queue, "message": text })).await;
        let started = started.map_err(|error| match error {
            CallError::Ended(ended) => Halt::Stop(ended.to_string()),
            CallError::Refused(refusal) => {
                stage.tally.differ(refused(&script.id, "", "customer", "conversation.start", &refusal));
                Halt::Cut
            }
        })?;
        stage.tally.ack.borrow_mut().record(started.took);
        add(&stage.tally.messages, 1);
        let conversation = started.result.get("conversation").and_then(Value::as_str).unwrap_or_default().to_owned();
        customer.recorder.borrow_mut().set_own(&conversation);
        let customer_id = opened.my_id().to_owned();
        let taken = stage.desk.expect(&conversation);
        let first = Deed { kind: "message", by: customer_id.clone(), text: Some(text.clone()), seq: None };
        Ok(Self {
            stage,
            script,
            plan,
            customer,
            customer_id,
            conversation,
            holder: None,
            taken,
            done: vec![first],
            takes: Vec::new(),
            holders: Vec::new(),
            tag: None,
            differences: 0,
            began,
        })
    }

    async fn perform(&mut self) -> Result<(), Halt> {
        for turn in 1..self.plan.early {
            self.think(turn).await?;
            self.customer_says(turn).await?;
            self.fall(turn);
        }
        let taken = self.wait_for_a_pick().await?;
        self.has_taken(taken);
        let steps = self.plan.steps(&self.script, taken.session, self.stage.desk.sessions.len());
        self.fall(0);
        for step in steps {
            self.step(step).await?;
            self.fall(step.turn);
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), Halt> {
        self.think(step.turn).await?;
        let seq = match step.says {
            Says::Customer => {
                if step.typing {
                    self.types(None).await?;
                }
                self.customer_says(step.turn).await?
            }
            Says::Agent { session, passing } => {
                self.pass_to(session, passing).await?;
                if step.typing {
                    self.types(Some(session)).await?;
                }
                self.agent_says(step.turn).await?
            }
        };
        if let (true, Some(seq)) = (step.read, seq) {
            self.reads(step.says, seq).await?;
        }
        if let Some(session) = step.note_by {
            let text = format!("note at turn {} of {}", step.turn, self.script.id);
            let params = json!({ "conversation": self.conversation, "text": text });
            let answer = self.stage.desk.sessions[session].seat.client.change("note.add", params).await;
            let answer = answer.map_err(|error| self.halt(Some(session), "note.add", error))?;
            add(&self.stage.tally.notes, 1);
            self.did("note", Some(session), Some(text), &answer)?;
        }
        if step.tag {
            self.tags().await?;
        }
        if step.metadata {
            let params = json!({ "conversation": self.conversation, "metadata": { "page": format!("/turn/{}", step.turn) } });
            let answer = self.customer.client.change("metadata.update", params).await;
            let answer = answer.map_err(|error| self.halt(None, "metadata.update", error))?;
            self.did("metadata", None, None, &answer)?;
        }
        Ok(())
    }

    async fn customer_says(&mut self, turn: usize) -> Result<Option<u64>, Halt> {
        let text = self.script.turns[turn].text.clone();
        let params = json!({ "conversation": self.conversation, "text": text });
        let answer = self.customer.client.change("message.send", params).await;
        let answer = answer.map_err(|error| self.halt(None, "message.send", error))?;
        let seq = self.said(None, text, &answer)?;
        if let (Some(holder), Some(seq)) = (self.holder, seq) {
            let at = self.seen(Some(holder.session), seq).await?;
            self.delivered(&answer, at);
        }
        Ok(seq)
    }

    async fn agent_says(&mut self, turn: usize) -> Result<Option<u64>, Halt> {
        let text = self.script.turns[turn].text.clone();
        let answer = self.as_holder("message.send", json!({ "text": text })).await?;
        let session = self.holder.map(|holder| holder.session);
        let seq = self.said(session, text, &answer)?;
        if let Some(seq) = seq {
            let at = self.seen(None, seq).await?;
            self.delivered(&answer, at);
        }
        Ok(seq)
    }

    fn said(&mut self, session: Option<usize>, text: String, answer: &Answer) -> Result<Option<u64>, Halt> {
        add(&self.stage.tally.messages, 1);
        self.stage.tally.ack.borrow_mut().record(answer.took);
        self.did("message", session, Some(text), answer)?;
        Ok(answer.seq())
    }

    fn delivered(&self, answer: &Answer, at: Instant) {
        self.stage.tally.delivery.borrow_mut().record(at.saturating_duration_since(answer.sent));
    }

    /// Writes down what was acknowledged. Tags and metadata may be acknowledged without an event: nothing changed.
    pub(super) fn did(
        &mut self,
        kind: &'static str,
        session: Option<usize>,
        text: Option<String>,
        answer: &Answer,
    ) -> Result<(), Halt> {
        let by = session.map_or(&self.customer_id, |session| &self.stage.desk.sessions[session].account).clone();
        let seq = answer.seq();
        if seq.is_none() && !matches!(kind, "tagged" | "untagged" | "metadata") {
            let difference =
                self.difference(&self.name(session), "protocol", format!("the seq of the {kind}"), answer.result.to_string());
            self.note(difference);
            return Err(Halt::Cut);
        }
        if seq.is_some() {
            self.done.push(Deed { kind, by, text, seq });
        }
        Ok(())
    }

    async fn types(&mut self, session: Option<usize>) -> Result<(), Halt> {
        let params = json!({ "conversation": self.conversation, "typing": true });
        match self.client(session).ask("typing.set", params).await {
            Err(CallError::Refused(refusal)) if is_claim(&refusal) => Ok(()),
            other => other.map(drop).map_err(|error| self.halt(session, "typing.set", error)),
        }
    }

    /// The side that did not speak says how far it has read.
    async fn reads(&mut self, spoke: Says, seq: u64) -> Result<(), Halt> {
        let reader = match spoke {
            Says::Customer => self.holder.map(|holder| holder.session),
            Says::Agent { .. } => None,
        };
        let params = json!({ "conversation": self.conversation, "seq": seq });
        let answer = self.client(reader).ask("receipt.read", params).await;
        answer.map(drop).map_err(|error| self.halt(reader, "receipt.read", error))
    }

    async fn tags(&mut self) -> Result<(), Halt> {
        let Some(holder) = self.holder else { return Ok(()) };
        let session = &self.stage.desk.sessions[holder.session];
        let (method, kind, tag) = match (self.tag.take(), session.tags.first()) {
            (Some(tag), _) => ("tag.remove", "untagged", tag),
            (None, Some(tag)) => {
                self.tag = Some(tag.clone());
                ("tag.add", "tagged", tag.clone())
            }
            (None, None) => return Ok(()),
        };
        let params = json!({ "conversation": self.conversation, "tag": tag });
        let answer = session.seat.client.change(method, params).await;
        let answer = answer.map_err(|error| self.halt(Some(holder.session), method, error))?;
        self.did(kind, Some(holder.session), None, &answer)
    }

    /// Waits until a side was shown the event.
    pub(super) async fn seen(&mut self, session: Option<usize>, seq: u64) -> Result<Instant, Halt> {
        let patience = self.stage.settings.patience;
        match self.seat(session).reach(&self.conversation, seq, patience).await {
            Ok(at) => Ok(at),
            Err(Unseen::Ended(ended)) => Err(Halt::Stop(ended.to_string())),
            Err(Unseen::TooLate) => {
                let expected = format!("to be shown event {seq}");
                let got = format!("nothing within {} s, connected all the time", patience.as_secs_f64());
                let difference = self.difference(&self.name(session), "delivery", expected, got);
                self.note(difference);
                Err(Halt::Cut)
            }
        }
    }

    /// The pause that people made, shortened by the speed; long ones with signs of life from both sides.
    async fn think(&mut self, turn: usize) -> Result<(), Halt> {
        let turns = &self.script.turns;
        let mut left = speed::pause(turns[turn].at_s - turns[turn - 1].at_s, self.stage.settings.speed);
        while !left.is_zero() {
            let part = left.min(speed::SILENCE_MAX);
            tokio::time::sleep(part).await;
            left -= part;
            if !left.is_zero() {
                self.types(None).await?;
                if self.holder.is_some() {
                    self.as_holder("conversation.touch", json!({})).await?;
                }
            }
        }
        Ok(())
    }

    fn fall(&self, turn: usize) {
        if self.plan.drop_after == Some(turn) {
            add(&self.stage.tally.drops, 1);
            self.customer.client.drop_connection();
        }
    }

    pub(super) fn seat(&self, session: Option<usize>) -> &Seat {
        session.map_or(&self.customer, |session| &self.stage.desk.sessions[session].seat)
    }

    pub(super) fn client(&self, session: Option<usize>) -> &crate::client::Client {
        &self.seat(session).client
    }

    pub(super) fn name(&self, session: Option<usize>) -> String {
        session.map_or_else(|| "customer".to_owned(), |session| self.stage.desk.sessions[session].name.clone())
    }

    pub(super) fn difference(&self, view: &str, check: &'static str, expected: String, got: String) -> Difference {
        let (script, conversation) = (self.script.id.clone(), self.conversation.clone());
        Difference { script, conversation, view: view.to_owned(), check, expected, got }
    }

    pub(super) fn note(&mut self, difference: Difference) {
        self.differences += 1;
        self.stage.tally.differ(difference);
    }

    pub(super) fn halt(&mut self, session: Option<usize>, method: &str, error: CallError) -> Halt {
        match error {
            CallError::Ended(ended) => Halt::Stop(ended.to_string()),
            CallError::Refused(refusal) => {
                let difference = refused(&self.script.id, &self.conversation, &self.name(session), method, &refusal);
                self.note(difference);
                Halt::Cut
            }
        }
    }
}

fn refused(script: &str, conversation: &str, view: &str, method: &str, refusal: &Refusal) -> Difference {
    Difference {
        script: script.to_owned(),
        conversation: conversation.to_owned(),
        view: view.to_owned(),
        check: "refused",
        expected: format!("{method} to be done"),
        got: refusal.to_string(),
    }
}
