//! Questions over several entities, or into the past: history, lists, search.

use std::rc::Rc;

use bytes::Bytes;
use jono_domain::account::{Audience, Role, Who};
use jono_domain::conversation::{self, Body, Entry, Row, closed_prefix};
use jono_domain::id::{ConversationId, QueueId};
use jono_domain::limits::{PAGE_EVENTS_MAX, PAGE_ROWS_MAX};
use jono_domain::message::{Address, Order};
use jono_domain::queue::{self, ListPlace};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::time::Time;
use jono_domain::{agent, conversation::RowState};
use jono_store::LogRange;
use tokio::sync::oneshot;

use crate::codec;
use crate::host::Host;
use crate::letter::{Ask, Letter};
use crate::limits::{
    HISTORY_BYTES_MAX, HITS_PER_CONVERSATION_MAX, LIST_QUEUES_MAX, LOG_PAGE, RETRY_QUARANTINED_MS, SEARCH_READS_MAX,
};
use crate::output::unavailable;
use crate::request::{Answer, Hit, Outcome, Query, ReplyTo, View};

impl Host {
    /// Finds the answer, asking whom it takes.
    pub(crate) async fn find(self: &Rc<Self>, who: Who, query: Query) -> Answer {
        match query {
            Query::History { conversation, forward, from, limit } => self.history(who, conversation, forward, from, limit).await,
            Query::List { view, queue, cursor, limit } => {
                let limit = limit.clamp(1, PAGE_ROWS_MAX);
                match view {
                    View::Open => self.list_open(who, queue, cursor.as_deref(), limit).await,
                    View::Mine => self.list_mine(who, queue, cursor.as_deref(), limit).await,
                    View::Closed => self.list_closed(who, queue, cursor.as_deref(), limit).await,
                }
            }
            Query::Search { text, queue, from, to, cursor, limit } => {
                let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
                if words.is_empty() {
                    return Err(Refusal::invalid("text"));
                }
                let wanted = Wanted { words, from: from.unwrap_or(Time(0)), to: to.unwrap_or(Time(u64::MAX)) };
                self.search(who, &wanted, queue, cursor.as_deref(), limit.clamp(1, PAGE_ROWS_MAX)).await
            }
        }
    }

    async fn ask(&self, who: Who, order: Order) -> Result<Reply, Refusal> {
        let (sender, receiver) = oneshot::channel();
        // Counted as forwarded: the query has been admitted, its parts are not refused.
        let ask = Ask { who, key: None, order, reply_to: ReplyTo::Once(sender), hops: 1 };
        if self.bus.post(Letter::Ask(ask)).is_err() {
            return Err(unavailable());
        }
        match receiver.await {
            Ok(Ok(Outcome::Reply(reply))) => Ok(reply),
            Ok(Err(refusal)) => Err(refusal),
            Ok(Ok(_)) | Err(_) => Err(unavailable()),
        }
    }

    async fn history(&self, who: Who, conversation: ConversationId, forward: bool, from: u64, limit: usize) -> Answer {
        let order = Order::Conversation(conversation, Box::new(conversation::Command::Describe));
        let Reply::Conversation(view) = self.ask(who, order).await? else {
            return Err(unavailable());
        };
        let audience = if matches!(who, Who::Customer(..)) { Audience::Customer } else { Audience::Agent };
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut from = from;
        // A customer does not see everything: read on until the page is full.
        'pages: while entries.len() < limit {
            let range = if forward { LogRange::After(from) } else { LogRange::Before(from) };
            let mut page = self
                .read_entries(Address::Conversation(conversation), range, LOG_PAGE.min(limit))
                .await
                .map_err(|_| unavailable())?;
            if !forward {
                page.reverse();
            }
            let Some((last, _)) = page.last() else { break };
            from = last.seq;
            for (entry, size) in page {
                if !entry.is_for(audience) {
                    continue;
                }
                bytes += size;
                if entries.len() == limit || (bytes > HISTORY_BYTES_MAX && !entries.is_empty()) {
                    break 'pages;
                }
                entries.push(entry);
            }
        }
        if !forward {
            entries.reverse();
        }
        Ok(Outcome::History { entries, head: view.head })
    }

    /// The queues that a list is about: one that the agent may serve, or all of them.
    fn queues(&self, who: Who, queue: Option<QueueId>) -> Result<Vec<QueueId>, Refusal> {
        let Who::Agent(organisation, agent) = who else {
            return Err(Refusal::Forbidden);
        };
        let directory = self.directory.load();
        let organisation = directory.organisation(organisation).ok_or(Refusal::NotFound)?;
        let account = organisation.account(agent).ok_or(Refusal::NotFound)?;
        let may = |queue: &QueueId| account.role == Role::Operator || account.queues.contains(queue);
        match queue {
            Some(queue) if organisation.queue(queue).is_some() && may(&queue) => Ok(vec![queue]),
            Some(_) => Err(Refusal::NotFound),
            None => Ok(organisation.queues.keys().copied().filter(may).take(LIST_QUEUES_MAX).collect()),
        }
    }

    async fn open_rows(&self, who: Who, queues: &[QueueId], after: Option<ListPlace>, limit: usize) -> Result<Vec<Row>, Refusal> {
        let lists = queues.iter().map(|queue| {
            let list = queue::Command::List { after, limit };
            self.ask(who, Order::Queue(*queue, Box::new(list)))
        });
        let mut rows = Vec::new();
        for list in futures_util::future::join_all(lists).await {
            if let Reply::Rows(list) = list? {
                rows.extend(list);
            }
        }
        rows.sort_by_key(place_of);
        Ok(rows)
    }

    async fn list_open(&self, who: Who, queue: Option<QueueId>, cursor: Option<&str>, limit: usize) -> Answer {
        let after = cursor.map(read_place).transpose()?;
        Ok(page(self.open_rows(who, &self.queues(who, queue)?, after, limit + 1).await?, limit))
    }

    async fn list_mine(&self, who: Who, only: Option<QueueId>, cursor: Option<&str>, limit: usize) -> Answer {
        let after = cursor.map(read_place).transpose()?;
        let Who::Agent(_, agent) = who else {
            return Err(Refusal::Forbidden);
        };
        let Reply::Agent(view) = self.ask(who, Order::Agent(agent, Box::new(agent::Command::Describe))).await? else {
            return Err(unavailable());
        };
        let held = view.held.into_iter().filter(|(_, queue)| only.is_none_or(|only| only == *queue));
        let views = held
            .map(|(conversation, _)| self.ask(who, Order::Conversation(conversation, Box::new(conversation::Command::Describe))));
        let mut rows: Vec<Row> = Vec::new();
        for view in futures_util::future::join_all(views).await {
            match view {
                Ok(Reply::Conversation(view)) => rows.push(view.row),
                // Without it the list would not be whole.
                Err(refusal) if is_back_soon(&refusal) => return Err(refusal),
                // One that was released a moment ago is not found any more; one that is quarantined does not take the others with it.
                Ok(_) | Err(_) => {}
            }
        }
        rows.retain(|row| row.holder == Some(agent) && after.is_none_or(|after| after < place_of(row)));
        rows.sort_by_key(place_of);
        Ok(page(rows, limit))
    }

    async fn closed_rows(&self, queues: &[QueueId], after: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, Refusal> {
        let mut rows = Vec::new();
        for queue in queues {
            let prefix = closed_prefix(*queue);
            let after = (!after.is_empty()).then(|| [&prefix[..], after].concat().into());
            let found = self.store.scan(Bytes::from(prefix.clone()), after, limit).await;
            let found = found.map_err(|error| {
                tracing::warn!(%error, "a list could not be read");
                unavailable()
            })?;
            let decoded =
                found.into_iter().filter_map(|(key, bytes)| Some((key[prefix.len()..].to_vec(), codec::decode(&bytes).ok()?)));
            rows.extend(decoded);
        }
        // Behind the prefix, keys order by time, newest first, over all queues.
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn list_closed(&self, who: Who, queue: Option<QueueId>, cursor: Option<&str>, limit: usize) -> Answer {
        let after = cursor.map(read_hex).transpose()?.unwrap_or_default();
        let mut rows = self.closed_rows(&self.queues(who, queue)?, &after, limit + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = if more { rows.last().map(|(key, _)| write_hex(key)) } else { None };
        Ok(Outcome::Rows { rows: rows.into_iter().map(|(_, row)| row).collect(), cursor })
    }

    /// Reads logs, open conversations first, then ended ones, newest first, until the page is full or
    /// enough was read for one call.
    async fn search(&self, who: Who, wanted: &Wanted, queue: Option<QueueId>, cursor: Option<&str>, limit: usize) -> Answer {
        let queues = self.queues(who, queue)?;
        let mut hits = Vec::new();
        let mut reads = 0;
        let mut closed_after = Vec::new();
        let (open_cursor, closed_cursor) =
            match cursor.map(|cursor| cursor.split_at_checked(1).ok_or(Refusal::invalid("cursor"))).transpose()? {
                None => (Some(None), None),
                Some(("o", place)) => (Some(Some(read_place(place)?)), None),
                Some(("c", key)) => (None, Some(read_hex(key)?)),
                Some(_) => return Err(Refusal::invalid("cursor")),
            };
        if let Some(after) = open_cursor {
            let mut after = after;
            loop {
                let rows = self.open_rows(who, &queues, after, PAGE_ROWS_MAX).await?;
                let page: Vec<Row> = rows.into_iter().take(PAGE_ROWS_MAX).collect();
                for row in &page {
                    self.search_one(row, wanted, &mut hits).await?;
                    reads += 1;
                    if hits.len() >= limit || reads >= SEARCH_READS_MAX {
                        return Ok(Outcome::Found { hits, cursor: Some(format!("o{}", write_place(&place_of(row)))) });
                    }
                }
                match page.last() {
                    Some(last) if page.len() == PAGE_ROWS_MAX => after = Some(place_of(last)),
                    _ => break,
                }
            }
        }
        if let Some(after) = closed_cursor {
            closed_after = after;
        }
        loop {
            let rows = self.closed_rows(&queues, &closed_after, PAGE_ROWS_MAX).await?;
            for (key, row) in &rows {
                self.search_one(row, wanted, &mut hits).await?;
                reads += 1;
                if hits.len() >= limit || reads >= SEARCH_READS_MAX {
                    return Ok(Outcome::Found { hits, cursor: Some(format!("c{}", write_hex(key))) });
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == PAGE_ROWS_MAX => closed_after.clone_from(key),
                _ => return Ok(Outcome::Found { hits, cursor: None }),
            }
        }
    }

    /// All hits of one conversation belong to one page, which may be longer than asked for: the cursor goes by conversations.
    async fn search_one(&self, row: &Row, wanted: &Wanted, hits: &mut Vec<Hit>) -> Result<(), Refusal> {
        let mut from = 0;
        let mut found = 0;
        loop {
            let page = self
                .read_entries(Address::Conversation(row.conversation), LogRange::After(from), LOG_PAGE)
                .await
                .map_err(|_| unavailable())?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = last.seq;
            let full = page.len() == LOG_PAGE;
            let room = HITS_PER_CONVERSATION_MAX - found;
            let matching = page.into_iter().map(|(entry, _)| entry).filter(|entry| wanted.matches(entry)).take(room);
            let before = hits.len();
            hits.extend(matching.map(|entry| Hit { row: row.clone(), entry }));
            found += hits.len() - before;
            if !full || found == HITS_PER_CONVERSATION_MAX {
                return Ok(());
            }
        }
    }
}

/// What a search looks for.
struct Wanted {
    words: Vec<String>,
    from: Time,
    to: Time,
}

impl Wanted {
    fn matches(&self, entry: &Entry) -> bool {
        let (Body::Message { text } | Body::NoteAdded { text }) = &entry.body else {
            return false;
        };
        if entry.at < self.from || entry.at >= self.to {
            return false;
        }
        let text = text.to_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }
}

/// Whoever said it can be asked again in a moment.
fn is_back_soon(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Unavailable { retry_after_ms } => *retry_after_ms < RETRY_QUARANTINED_MS,
        refusal => matches!(refusal, Refusal::Busy { .. }),
    }
}

/// The first rows, and where the others begin.
fn page(mut rows: Vec<Row>, limit: usize) -> Outcome {
    // A queue says at most `PAGE_ROWS_MAX` at a time: behind so many there may be more.
    let more = rows.len() > limit || rows.len() == PAGE_ROWS_MAX;
    rows.truncate(limit);
    let cursor = if more { rows.last().map(|row| write_place(&place_of(row))) } else { None };
    Outcome::Rows { rows, cursor }
}

fn place_of(row: &Row) -> ListPlace {
    (row.state, row.last_message_at, row.conversation)
}

/// A place in the list of open conversations, as clients carry it.
fn write_place((state, at, conversation): &ListPlace) -> String {
    let state = match state {
        RowState::Waiting => 0,
        RowState::Active => 1,
        RowState::Closed => 2,
    };
    format!("{state}{:016x}{:032x}", at.0, conversation.bits())
}

fn read_place(text: &str) -> Result<ListPlace, Refusal> {
    let bad = || Refusal::invalid("cursor");
    if text.len() != 49 || !text.is_ascii() {
        return Err(bad());
    }
    let state = match &text[..1] {
        "0" => RowState::Waiting,
        "1" => RowState::Active,
        "2" => RowState::Closed,
        _ => return Err(bad()),
    };
    let at = u64::from_str_radix(&text[1..17], 16).map_err(|_| bad())?;
    let conversation = u128::from_str_radix(&text[17..], 16).map_err(|_| bad())?;
    Ok((state, Time(at), ConversationId::from_bits(conversation)))
}

fn write_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_hex(text: &str) -> Result<Vec<u8>, Refusal> {
    let bad = || Refusal::invalid("cursor");
    // The longest cursor is a time and an id.
    if !text.is_ascii() || text.len() % 2 == 1 || text.len() > 64 {
        return Err(bad());
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())).collect()
}
