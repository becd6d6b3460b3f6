//! A client and the record of what it is shown, and what both customers and agents do with it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::view::{Recorder, Side};
use crate::client::{CallError, Client, ClientConfig, Ended, Event, Totals};

/// Events in one page of history: what the protocol allows.
const HISTORY_PAGE: u64 = 500;
/// Pages of one history: a conversation of ours never has so many events.
const HISTORY_PAGES_MAX: usize = 100;

/// Patience is measured in so many parts, and only those count in which the session was connected all the
/// time: a server that is killed again and again shall not be blamed, nor let off.
pub(crate) const PATIENCE_PARTS: u32 = 20;

/// See the module.
pub(crate) struct Seat {
    pub client: Client,
    pub recorder: Rc<RefCell<Recorder>>,
    filler: JoinHandle<()>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.filler.abort();
    }
}

/// Why something was not seen.
pub(crate) enum Unseen {
    /// It did not come although the session was connected all the time.
    TooLate,
    Ended(Ended),
}

#[derive(Deserialize)]
struct HistoryPage {
    events: Vec<Event>,
    #[serde(default)]
    head: u64,
}

impl Seat {
    pub fn take(config: ClientConfig, side: Side, totals: &Rc<Totals>) -> Self {
        let recorder = Rc::new(RefCell::new(Recorder::new(side)));
        let client = Client::start(config, Rc::clone(&recorder) as _, Rc::clone(totals));
        let noted = Rc::clone(&recorder.borrow().gap_noted);
        let filler = tokio::task::spawn_local(fill_gaps(client.clone(), Rc::downgrade(&recorder), noted));
        Self { client, recorder, filler }
    }

    /// Waits until the session was shown this event or a later one, and everything it was told it missed; says when.
    pub async fn reach(&self, conversation: &str, seq: u64, patience: Duration) -> Result<Instant, Unseen> {
        let mut waited = Duration::ZERO;
        while waited < patience {
            let changed = {
                let mut recorder = self.recorder.borrow_mut();
                let view = recorder.view(conversation);
                if view.last >= seq && view.filling == 0 {
                    return Ok(view.reached_at(seq).unwrap_or_else(Instant::now));
                }
                view.changed()
            };
            let part = patience / PATIENCE_PARTS;
            let began = Instant::now();
            if tokio::time::timeout(part, changed.notified()).await.is_ok() {
                waited = Duration::ZERO;
            } else if let Some(ended) = self.client.ended() {
                return Err(Unseen::Ended(ended));
            } else if self.client.was_connected_since(began) {
                waited += part;
            }
        }
        Err(Unseen::TooLate)
    }

    /// The whole log as the server tells it now.
    pub async fn history(&self, conversation: &str) -> Result<Vec<Event>, CallError> {
        history(&self.client, conversation, 0).await
    }
}

async fn history(client: &Client, conversation: &str, mut after: u64) -> Result<Vec<Event>, CallError> {
    let mut events = Vec::new();
    for _ in 0..HISTORY_PAGES_MAX {
        let params = json!({ "conversation": conversation, "after": after, "limit": HISTORY_PAGE });
        let answer = client.ask("conversation.history", params).await?;
        let page: HistoryPage = serde_json::from_value(answer.result)
            .map_err(|error| CallError::Ended(Ended::Hopeless(format!("conversation.history has no good answer: {error}"))))?;
        let last = page.events.last().map(|event| event.seq);
        events.extend(page.events);
        match last {
            Some(last) if last < page.head && last > after => after = last,
            Some(_) | None => break,
        }
    }
    Ok(events)
}

/// Reads what the server said it would not send, whenever it says so.
async fn fill_gaps(client: Client, recorder: Weak<RefCell<Recorder>>, noted: Rc<Notify>) {
    loop {
        noted.notified().await;
        let Some(recorder) = recorder.upgrade() else { return };
        let gaps = std::mem::take(&mut recorder.borrow_mut().gaps);
        for (conversation, gap) in gaps {
            // Without an answer the gap stays, and is found.
            let events = history(&client, &conversation, gap.after).await.unwrap_or_default();
            recorder.borrow_mut().view(&conversation).fill(&gap, events);
        }
    }
}
