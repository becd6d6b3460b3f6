//! Queues.

use actix_web::http::StatusCode;
use jono_domain::id::QueueId;
use jono_domain::message::Order;
use jono_domain::organisation::{Change, QueueConfig};
use jono_domain::queue::Command;
use jono_domain::reply::Reply;

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
    // Ids come from `create` alone: one that was removed, here or elsewhere, is never made again by its name.
    call.organisation_now()?.queue(id).ok_or_else(Problem::not_found)?;
    store(&call, id, form).await
}

pub(super) async fn delete(call: Call) -> Result<(), Problem> {
    let queue = call.id("queue")?;
    if call.organisation().queue(queue).is_none() && !call.has_key() {
        return Err(Problem::not_found());
    }
    // Whoever waits in a queue that is gone could be picked by nobody.
    let describe = Order::Queue(queue, Box::new(Command::Describe));
    if let Ok(Reply::Queue(numbers)) = call.look(describe).await
        && numbers.waiting + numbers.active > 0
    {
        let message = "conversations are open in this queue: close it, and let them end or transfer them first";
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", message));
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
    let config = QueueConfig::from(form);
    call.change(Change::PutQueue { queue, config: Some(config.clone()) }).await?;
    Ok(show(queue, call.organisation_now()?.queue(queue).unwrap_or(&config)))
}
