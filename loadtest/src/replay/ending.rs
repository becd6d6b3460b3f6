//! How a conversation ends: it is closed, rated, and judged.

use serde_json::json;

use super::judge::{self, Evidence, Witness};
use super::play::{Halt, Play};
use super::report::add;
use super::seat::Unseen;
use crate::client::{CallError, Event};

impl Play {
    /// One side ends it, the customer may rate.
    pub(super) async fn end(&mut self) -> Result<(), Halt> {
        let holder = self.holder.map(|holder| holder.session);
        let params = json!({ "conversation": self.conversation });
        let answer = if self.plan.customer_leaves {
            let answer = self.customer.client.change("conversation.leave", params).await;
            let answer = answer.map_err(|error| self.halt(None, "conversation.leave", error))?;
            self.did("closed", None, None, &answer)?;
            answer
        } else {
            let answer = self.as_holder("conversation.close", params).await?;
            let holder = self.holder.map(|holder| holder.session);
            self.did("closed", holder, None, &answer)?;
            answer
        };
        self.let_go();
        let seq = answer.seq().unwrap_or_default();
        self.seen(None, seq).await?;
        if holder.is_some() {
            self.seen(holder, seq).await?;
        }
        if let Some(rating) = self.plan.rating {
            let params = json!({ "conversation": self.conversation, "rating": rating });
            let answer = self.customer.client.change("conversation.rate", params).await;
            let answer = answer.map_err(|error| self.halt(None, "conversation.rate", error))?;
            self.did("rated", None, None, &answer)?;
        }
        Ok(())
    }

    /// After a difference: it shall not be left behind open.
    pub(super) async fn give_up(&mut self) {
        let params = json!({ "conversation": self.conversation });
        if let Ok(answer) = self.customer.client.change("conversation.leave", params).await {
            let _ = self.did("closed", None, None, &answer);
        }
        self.let_go();
    }

    /// Gathers every account of the conversation, fresh and recorded, and compares them.
    ///
    /// # Errors
    /// Why the run cannot go on.
    pub(super) async fn judge(mut self) -> Result<(), String> {
        self.stage.desk.forget(&self.conversation);
        let judged = self.gather().await;
        for remark in std::mem::take(&mut self.customer.recorder.borrow_mut().remarks) {
            let difference = self.difference("customer", remark.check, remark.expected, remark.got);
            self.stage.tally.differ(difference);
            self.differences += 1;
        }
        if self.differences > 0 {
            add(&self.stage.tally.differing, 1);
        }
        self.customer.client.close();
        match judged {
            Ok(()) | Err(Halt::Cut) => Ok(()),
            Err(Halt::Stop(why)) => Err(why),
        }
    }

    async fn gather(&mut self) -> Result<(), Halt> {
        let asker = self.stage.desk.sessions.iter().position(|session| self.holders.last() == Some(&session.account));
        let asker = asker.unwrap_or_default();
        let history_agent = self.history(Some(asker)).await?;
        let head = history_agent.last().map_or(0, |event| event.seq);
        // The customer comes back on a new connection, by its resume token.
        add(&self.stage.tally.drops, 1);
        self.customer.client.drop_connection();
        let history_customer = self.history(None).await?;
        self.wait_for_views(head, history_customer.last().map_or(0, |event| event.seq)).await?;
        let witnesses = self.witnesses();
        let takes: Vec<String> = self.takes.iter().map(|(_, account)| account.clone()).collect();
        let found = judge::judge(&Evidence {
            script: &self.script.id,
            conversation: &self.conversation,
            done: &self.done,
            takes: &takes,
            history_customer: &history_customer,
            history_agent: &history_agent,
            witnesses: &witnesses,
        });
        let tally = &self.stage.tally;
        add(&tally.views, witnesses.len() as u64);
        add(&tally.events, witnesses.iter().map(|witness| witness.view.shown().count() as u64).sum());
        for difference in found {
            self.note(difference);
        }
        Ok(())
    }

    async fn history(&mut self, session: Option<usize>) -> Result<Vec<Event>, Halt> {
        let history = self.seat(session).history(&self.conversation).await;
        history.map_err(|error: CallError| self.halt(session, "conversation.history", error))
    }

    /// Every session of every account that held it follows it to its end; what does not come is found by the judge.
    async fn wait_for_views(&mut self, head: u64, head_customer: u64) -> Result<(), Halt> {
        let patience = self.stage.settings.patience;
        let mut waits = vec![(None, head_customer)];
        for (index, session) in self.stage.desk.sessions.iter().enumerate() {
            // A session that was away while its account held the conversation need never have heard of it.
            let follows = session.seat.recorder.borrow_mut().view(&self.conversation).following;
            let heard = follows || session.seat.client.was_connected_since(self.began);
            if heard && self.holders.contains(&session.account) {
                waits.push((Some(index), head));
            }
        }
        for (session, head) in waits {
            match self.seat(session).reach(&self.conversation, head, patience).await {
                Ok(_) => {}
                Err(Unseen::Ended(ended)) => return Err(Halt::Stop(ended.to_string())),
                Err(Unseen::TooLate) => {
                    let never = self.seat(session).recorder.borrow_mut().view(&self.conversation).items.is_empty();
                    if never {
                        let expected = "to follow what its account held".to_owned();
                        let difference = self.difference(&self.name(session), "followed", expected, "it does not".to_owned());
                        self.note(difference);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the records away from the sessions, which stop following.
    fn witnesses(&mut self) -> Vec<Witness> {
        let customer = self.customer.recorder.borrow_mut().take(&self.conversation);
        let customer = customer.map(|view| Witness { name: "customer".to_owned(), for_customer: true, view });
        let agents = self.stage.desk.sessions.iter().filter_map(|session| {
            let view = session.seat.recorder.borrow_mut().take(&self.conversation)?;
            let (client, params) = (session.seat.client.clone(), json!({ "conversation": self.conversation }));
            tokio::task::spawn_local(async move { client.ask("conversation.unfollow", params).await });
            Some(Witness { name: session.name.clone(), for_customer: false, view })
        });
        customer.into_iter().chain(agents).filter(|witness| !witness.view.items.is_empty()).collect()
    }
}
