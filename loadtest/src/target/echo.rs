//! A server that returns every frame: the floor under everything else, and the server of the self-test.
//!
//! What comes back is the acknowledgement and the delivery at once. One message of the work is three one-way hops and an echo
//! two, so nothing that stores and forwards can exceed 0.67 of its rate on the same socket layer.

use super::{Action, Frame, Frames, Reach, Settings, Tag, Target, Told, Upgrade, Who, Writing};

/// The adapter.
#[derive(Debug)]
pub struct Echo {
    path: String,
}

impl Echo {
    /// Of a server that upgrades at the path of the settings, by default `/`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { path: if settings.path.is_empty() { "/".to_owned() } else { settings.path.clone() } }
    }
}

impl Target for Echo {
    type Session = ();

    fn reach(&self) -> Reach {
        Reach { agents: false, queue: false, typing: false, hand_over: false, notes: false, repeats: false, resumes: false }
    }

    fn upgrade(&self, _: Who) -> Upgrade {
        Upgrade { path: self.path.clone(), subprotocol: None }
    }

    fn opened(&mut self, _: Who, (): &mut (), _: &mut Frames<'_>, told: &mut Vec<Told>) {
        told.push(Told::Ready { complete: None });
    }

    fn act(&mut self, _: Who, (): &mut (), action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match action {
            Action::Join(pair) => told.push(Told::Joined { conversation: pair.conversation }),
            Action::Send { text, .. } => out.text(|bytes| bytes.extend_from_slice(text.as_bytes())),
            Action::End { conversation } => told.push(Told::Ended { conversation }),
            Action::Begin { .. } | Action::Pick | Action::Note { .. } | Action::Typing { .. } => {}
            Action::HandOver { .. } | Action::Leave => {}
        }
    }

    fn heard(&mut self, _: Who, (): &mut (), frame: Frame<'_>, _: &mut Frames<'_>, told: &mut Vec<Told>) -> Result<(), String> {
        // Whatever else such a server says (a greeting, say) carries no tag.
        if let Some((tag, intact)) = Tag::find(frame.bytes(), Writing::Plain) {
            told.push(Told::Delivered { tag, intact });
            told.push(Told::Acknowledged { conversation: tag.conversation, number: tag.number });
        }
        Ok(())
    }
}
