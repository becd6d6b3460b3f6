//! Connections between clients and gateways: frames take their time, arrive in order, and are lost when the connection is cut.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jono_gateway::session::Told;
use jono_socket::Text;
use tokio::sync::mpsc;

use crate::timeline::{MS, Micros, Timeline};

/// What a gateway hears.
pub enum ToGateway {
    /// A client has connected.
    Open(Arc<Pipe>),
    /// A text of a client.
    Text(u64, String),
    /// The engine, or another session, has something for a session.
    Told(u64, Told),
    /// A client has taken everything that was sent to it.
    Drained(u64),
    /// A client is gone.
    Closed(u64),
    /// The process is asked to end, as by SIGTERM.
    Stop,
}

/// What a client hears.
pub enum ToClient {
    /// A text.
    Text(Text),
    /// The connection is over.
    Closed,
    /// Its own clock.
    Wake(Wake),
}

/// Why a client is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// To connect.
    Connect,
    /// To ask this again.
    Again(u64),
    /// To do something, perhaps.
    Tick,
}

/// One connection.
pub struct Pipe {
    /// Its number; never given twice.
    pub number: u64,
    /// Whose.
    pub client: usize,
    mail: Arc<Mail>,
    gateway: mpsc::UnboundedSender<ToGateway>,
    /// Frames of one direction do not overtake each other.
    up_at: AtomicU64,
    down_at: AtomicU64,
    waiting: AtomicUsize,
    wants_drained: AtomicBool,
    is_cut: AtomicBool,
    /// Every frame to the client takes so much longer.
    slow: Micros,
}

/// What has arrived at clients and waits to be read.
pub struct Mail {
    /// When.
    pub timeline: Arc<Timeline>,
    arrived: Mutex<VecDeque<(u64, usize, ToClient)>>,
    last_number: AtomicU64,
}

impl Mail {
    /// Nothing has arrived.
    #[must_use]
    pub fn new(timeline: &Arc<Timeline>) -> Arc<Self> {
        Arc::new(Self { timeline: Arc::clone(timeline), arrived: Mutex::default(), last_number: AtomicU64::new(0) })
    }

    /// The next thing that has arrived: by which connection, at which client.
    pub fn next(&self) -> Option<(u64, usize, ToClient)> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn arrive(&self, pipe: &Pipe, what: ToClient) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push_back((pipe.number, pipe.client, what));
    }

    /// Wakes a client after so long.
    pub fn wake(self: &Arc<Self>, client: usize, wait: Micros, wake: Wake) {
        let mail = Arc::clone(self);
        self.timeline.after(wait, move || {
            mail.arrived.lock().unwrap_or_else(PoisonError::into_inner).push_back((0, client, ToClient::Wake(wake)));
        });
    }

    /// A client connects.
    pub fn connect(self: &Arc<Self>, client: usize, gateway: mpsc::UnboundedSender<ToGateway>) -> Arc<Pipe> {
        let is_slow = self.timeline.happens(20);
        let pipe = Arc::new(Pipe {
            number: self.last_number.fetch_add(1, Ordering::Relaxed) + 1,
            client,
            mail: Arc::clone(self),
            gateway,
            up_at: AtomicU64::new(0),
            down_at: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            wants_drained: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            slow: if is_slow { 400 * MS } else { 0 },
        });
        pipe.up(ToGateway::Open(Arc::clone(&pipe)));
        pipe
    }
}

impl Pipe {
    fn moment(&self, last: &AtomicU64, slow: Micros) -> Micros {
        let timeline = &self.mail.timeline;
        let takes = if timeline.happens(10) { timeline.below(120 * MS) } else { 100 + timeline.below(2 * MS) };
        let at = last.load(Ordering::Relaxed).max(timeline.now() + takes + slow);
        last.store(at, Ordering::Relaxed);
        at
    }

    fn up(self: &Arc<Self>, what: ToGateway) {
        let pipe = Arc::clone(self);
        self.mail.timeline.at(self.moment(&self.up_at, 0), move || {
            if !pipe.is_cut.load(Ordering::Relaxed) && pipe.gateway.send(what).is_err() {
                pipe.gone();
            }
        });
    }

    /// The client says something.
    pub fn say(self: &Arc<Self>, text: String) {
        self.up(ToGateway::Text(self.number, text));
    }

    /// The gateway sends something.
    pub fn send(self: &Arc<Self>, text: Text) {
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        let pipe = Arc::clone(self);
        self.mail.timeline.at(self.moment(&self.down_at, self.slow), move || {
            let waiting = pipe.waiting.fetch_sub(text.len(), Ordering::Relaxed) - text.len();
            if pipe.is_cut.load(Ordering::Relaxed) {
                return;
            }
            pipe.mail.arrive(&pipe, ToClient::Text(text));
            if waiting == 0 && pipe.wants_drained.swap(false, Ordering::Relaxed) {
                // A gateway that is gone does not mind.
                let _ = pipe.gateway.send(ToGateway::Drained(pipe.number));
            }
        });
    }

    /// Bytes that the client has not taken.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The gateway wants to hear when the client has taken everything.
    pub fn tell_when_drained(&self) {
        self.wants_drained.store(true, Ordering::Relaxed);
    }

    /// The gateway closes the connection behind what it has sent.
    pub fn close(self: &Arc<Self>) {
        let pipe = Arc::clone(self);
        self.mail.timeline.at(self.moment(&self.down_at, 0), move || {
            if !pipe.is_cut.swap(true, Ordering::Relaxed) {
                pipe.mail.arrive(&pipe, ToClient::Closed);
            }
        });
    }

    /// The gateway's process is gone: the client's machine learns it by the next packet.
    pub fn gone(self: &Arc<Self>) {
        let pipe = Arc::clone(self);
        self.mail.timeline.after(MS, move || {
            if !pipe.is_cut.swap(true, Ordering::Relaxed) {
                pipe.mail.arrive(&pipe, ToClient::Closed);
            }
        });
    }

    /// The client hangs up.
    pub fn hang_up(self: &Arc<Self>) {
        self.up(ToGateway::Closed(self.number));
    }

    /// The connection breaks: what is under way is lost. The gateway may take long to find out.
    pub fn cut(self: &Arc<Self>, silent_max: Micros) {
        if self.is_cut.swap(true, Ordering::Relaxed) {
            return;
        }
        self.mail.arrive(self, ToClient::Closed);
        let timeline = &self.mail.timeline;
        let takes = if timeline.happens(300) { timeline.below(silent_max) } else { timeline.below(20 * MS) };
        let pipe = Arc::clone(self);
        timeline.after(takes, move || {
            // A gateway that is gone does not mind.
            let _ = pipe.gateway.send(ToGateway::Closed(pipe.number));
        });
    }
}
