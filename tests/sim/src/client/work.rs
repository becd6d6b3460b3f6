//! What customers and agents do of their own accord, by chance.

use serde_json::{Value, json};

use super::{Around, Ask, Client, Kind, Purpose};

impl Client {
    pub(super) fn act(&mut self, around: &mut Around<'_>) {
        match self.chance.u32(0..100) {
            0..=2 => return self.cut(around),
            3..=6 => return self.repeat(around),
            7..=9 => return self.try_foreign(around),
            _ => {}
        }
        match self.kind {
            Kind::Customer { .. } => self.act_as_customer(around),
            Kind::Agent { is_operator: false, .. } => self.act_as_agent(around),
            Kind::Agent { is_operator: true, .. } => {}
        }
    }

    /// Asks once more what was answered: the answer must be the same.
    fn repeat(&mut self, around: &mut Around<'_>) {
        if !self.answered.is_empty() {
            let at = self.chance.usize(0..self.answered.len());
            let Ask { method, params, .. } = self.answered.swap_remove(at);
            self.ask(Ask { method, params, purpose: Purpose::Repeat }, around);
        }
    }

    /// Somebody else's id, or nobody's: the answer must be the same.
    fn try_foreign(&mut self, around: &mut Around<'_>) {
        let mine = self.organisation;
        let mut foreign = around.oracle.talks.iter().filter(|(_, talk)| talk.organisation != mine);
        let count = foreign.clone().count();
        let conversation = match count {
            0 => "conv_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
            _ => foreign.nth(self.chance.usize(0..count)).map(|(id, _)| id.clone()).unwrap_or_default(),
        };
        let method = match self.chance.u32(0..5) {
            0 => "conversation.get",
            1 => "conversation.history",
            2 => "conversation.follow",
            3 if !self.is_customer() => "conversation.claim",
            _ => "message.send",
        };
        let mut params = json!({ "conversation": conversation });
        if method == "message.send" {
            params["text"] = json!("from a stranger");
        }
        self.ask(Ask { method, params, purpose: Purpose::Foreign }, around);
    }

    fn words(&mut self) -> String {
        self.last_text += 1;
        format!("text {} of {}", self.last_text, self.number)
    }

    fn one_of(&mut self, of: impl Fn(&super::View) -> bool) -> Option<(String, u64)> {
        let all: Vec<_> = self.views.iter().filter(|(_, view)| view.is_followed && of(view)).collect();
        let (id, view) = *self.chance.choice(&all)?;
        Some((id.clone(), view.claim))
    }

    fn say(&mut self, conversation: &str, claim: Option<u64>, around: &mut Around<'_>) {
        let text = self.words();
        around.oracle.says(&text, conversation, self.number);
        let mut params = json!({ "conversation": conversation, "text": text });
        if let Some(claim) = claim {
            params["claim"] = json!(claim);
        }
        self.request("message.send", params, Purpose::Say { text }, around);
    }

    fn act_as_customer(&mut self, around: &mut Around<'_>) {
        let open = self.one_of(|view| view.state != "closed");
        let is_starting = self.pending.values().any(|(_, ask)| matches!(ask.purpose, Purpose::Start { .. }));
        match (open, self.chance.u32(0..100)) {
            (None, _) | (Some(_), 0..=3) => {
                if is_starting || self.views.values().filter(|view| view.state != "closed").count() > 1 {
                    return;
                }
                let text = self.words();
                around.oracle.says(&text, "", self.number);
                let queue = self.chance.choice(&around.queues[self.organisation]).cloned().unwrap_or_default();
                let params = json!({ "queue": queue, "message": text });
                self.request("conversation.start", params, Purpose::Start { text }, around);
            }
            (Some((conversation, _)), 4..=75) => self.say(&conversation, None, around),
            (Some((conversation, _)), 76..=79) => {
                let purpose = Purpose::End { conversation: conversation.clone(), kind: "closed" };
                self.request("conversation.leave", json!({ "conversation": conversation }), purpose, around);
            }
            (Some((conversation, _)), _) => self.aside(&conversation, around),
        }
    }

    fn aside(&mut self, conversation: &str, around: &mut Around<'_>) {
        let last = self.views.get(conversation).map_or(0, |view| view.last);
        let (method, params): (_, Value) = if self.chance.bool() {
            ("typing.set", json!({ "conversation": conversation, "typing": self.chance.bool() }))
        } else {
            ("receipt.read", json!({ "conversation": conversation, "seq": last }))
        };
        self.ask(Ask { method, params, purpose: Purpose::Other }, around);
    }

    fn act_as_agent(&mut self, around: &mut Around<'_>) {
        let me = self.me.clone();
        let held = self.one_of(|view| view.holder.as_deref() == Some(&me));
        match (held, self.chance.u32(0..100)) {
            (_, 0..=5) => {
                let status = if self.chance.u32(0..4) == 0 { "away" } else { "online" };
                self.request("presence.set", json!({ "status": status }), Purpose::Other, around);
            }
            (_, 6..=10) => self.race(around),
            (None, _) | (_, 11..=25) => {
                let queue = self.chance.choice(&around.queues[self.organisation]).cloned().unwrap_or_default();
                self.request("queue.pick", json!({ "queue": queue }), Purpose::Pick, around);
            }
            (Some((conversation, claim)), 26..=70) => self.say(&conversation, Some(claim), around),
            (Some((conversation, claim)), 71..=78) => self.end("conversation.close", "closed", &conversation, claim, around),
            (Some((conversation, claim)), 79..=84) => self.end("conversation.release", "released", &conversation, claim, around),
            (Some((conversation, claim)), 85..=89) => {
                let queue = self.chance.choice(&around.queues[self.organisation]).cloned().unwrap_or_default();
                let params = json!({ "conversation": conversation, "claim": claim, "queue": queue });
                let purpose = Purpose::End { conversation, kind: "transferred" };
                self.request("conversation.transfer", params, purpose, around);
            }
            (Some((conversation, _)), _) => self.aside(&conversation, around),
        }
    }

    fn end(&mut self, method: &'static str, kind: &'static str, conversation: &str, claim: u64, around: &mut Around<'_>) {
        let purpose = Purpose::End { conversation: conversation.into(), kind };
        self.request(method, json!({ "conversation": conversation, "claim": claim }), purpose, around);
    }

    /// Tries to take one that somebody else may be taking, or has.
    fn race(&mut self, around: &mut Around<'_>) {
        let mine: Vec<_> = around.oracle.talks.iter().filter(|(_, talk)| talk.organisation == self.organisation).collect();
        let Some(conversation) = self.chance.choice(&mine).map(|(id, _)| (*id).clone()) else { return };
        self.request("conversation.claim", json!({ "conversation": conversation }), Purpose::Pick, around);
    }
}
