//! Queues.

use jono_domain::id::QueueId;
use jono_domain::message::Order;
use jono_domain::organisation::{Change, QueueConfig};
use jono_domain::queue::Command;

use super::call::Call;
use super::forms::{Id, Page, QueueForm, WithId};
use super::problem::Problem;

type Shown = WithId<Id<QueueId>, QueueForm>;

fn show(id: QueueId, queue: &QueueConfig) -> Shown {
    WithId { id: Id(id), it: queue.into() }
}

pub(super) async fn list(call: Call) -> Result<Page<Shown>, Problem> {
    let (items, cursor) = call.page(&call.organisation().queues, QueueId::to_string, |id, queue| show(*id, queue))?;
    Ok(Page { items, cursor })
}

pub(super) async fn create(call: Call, form: QueueForm) -> Result<Shown, Problem> {
    store(&call, QueueId::from_bits(call.fresh_bits()), form).await
}

pub(super) async fn get(call: Call) -> Result<Shown, Problem> {
    let id = call.id("queue")?;
    call.organisation().queue(id).map(|queue| show(id, queue)).ok_or_else(Problem::not_found)
}

pub(super) async fn put(call: Call, form: QueueForm) -> Result<Shown, Problem> {
    let id = call.id("queue")?;
    store(&call, id, form).await
}

pub(super) async fn delete(call: Call) -> Result<(), Problem> {
    let queue = call.id("queue")?;
    if call.organisation().queue(queue).is_none() && !call.has_key() {
        return Err(Problem::not_found());
    }
    call.change(Change::PutQueue { queue, config: None }).await
}

pub(super) async fn open(call: Call) -> Result<(), Problem> {
    set_open(&call, true).await
}

pub(super) async fn close(call: Call) -> Result<(), Problem> {
    set_open(&call, false).await
}

async fn set_open(call: &Call, open: bool) -> Result<(), Problem> {
    let queue: QueueId = call.id("queue")?;
    if call.organisation().queue(queue).is_none() {
        return Err(Problem::not_found());
    }
    call.ask(Order::Queue(queue, Box::new(Command::SetOpen { open }))).await.map(|_| ())
}

async fn store(call: &Call, queue: QueueId, form: QueueForm) -> Result<Shown, Problem> {
    if call.state.admin.directory().of_queue(queue).is_some_and(|owner| owner.id != call.organisation().id) {
        return Err(Problem::not_found());
    }
    let config = QueueConfig::from(form);
    call.change(Change::PutQueue { queue, config: Some(config.clone()) }).await?;
    Ok(show(queue, call.organisation_now()?.queue(queue).unwrap_or(&config)))
}
