//! A client as anybody would write one, that trusts nothing: everything it hears is held against the
//! server's own documents, and every event against the promise of [`View`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::PATIENCE;
use crate::documents::OpenRpc;
use crate::view::View;

/// So often something may be unavailable: the server gives up after 8 s each time.
const UNAVAILABLE_MAX: usize = 5;

/// An error as the server gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused(pub Value);

impl Refused {
    /// Such as -32602.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.0["code"].as_i64().unwrap_or_default()
    }

    /// `data.reason`; empty when there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0["data"]["reason"].as_str().unwrap_or_default()
    }

    /// A member of `data`.
    #[must_use]
    pub fn data(&self, name: &str) -> &Value {
        &self.0["data"][name]
    }
}

/// How a session is opened, and opened again.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The parameters of `session.open`, without `resume` and `since`.
    pub params: Value,
    /// As the documents name it.
    pub role: &'static str,
}

/// What was asked and not answered yet.
struct Asked {
    method: String,
    params: Value,
}

/// A client.
pub struct Client {
    socket: Option<WebSocketStream<TcpStream>>,
    address: String,
    documents: Arc<OpenRpc>,
    credential: Credential,
    next_id: u64,
    asked: BTreeMap<u64, Asked>,
    answers: BTreeMap<u64, Result<Value, Refused>>,
    /// Notifications that no test has looked at yet: name, parameters, when they came.
    inbox: VecDeque<(String, Value, Instant)>,
    /// Every conversation that it has been told of.
    pub views: BTreeMap<String, View>,
    /// The answer to the last `session.open`.
    pub opened: Value,
    /// How the connection ended.
    closed: Option<(u16, String)>,
    /// Names of everything that was checked against the documents.
    pub heard: BTreeMap<String, usize>,
}

impl Client {
    /// Connected, without a session.
    pub async fn connect(address: &str, documents: &Arc<OpenRpc>, credential: Credential) -> Self {
        let mut client = Self {
            socket: None,
            address: address.to_owned(),
            documents: Arc::clone(documents),
            credential,
            next_id: 1,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            inbox: VecDeque::new(),
            views: BTreeMap::new(),
            opened: Value::Null,
            closed: None,
            heard: BTreeMap::new(),
        };
        client.dial(None).await;
        client
    }

    /// A new connection, perhaps from a page of this origin. What was on the way on the old one is lost.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn dial(&mut self, origin: Option<&str>) {
        self.try_dial(origin).await.expect("the server takes the connection");
    }

    /// The same, with a server that may be gone.
    async fn try_dial(&mut self, origin: Option<&str>) -> Option<()> {
        let mut request = format!("ws://{}/v1/ws", self.address).into_client_request().expect("a proper request");
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().expect("an origin"));
        }
        let stream = TcpStream::connect(&self.address).await.ok()?;
        stream.set_nodelay(true).expect("an open connection");
        let (socket, _) = timeout(PATIENCE, client_async(request, stream)).await.expect("an answer").ok()?;
        self.socket = Some(socket);
        self.closed = None;
        self.asked.clear();
        self.inbox.clear();
        self.views.values_mut().for_each(|view| view.is_followed = false);
        Some(())
    }

    /// Opens the session.
    pub async fn open(&mut self) -> Value {
        self.opened = self.ok("session.open", self.credential.params.clone()).await;
        self.opened.clone()
    }

    /// What `session.open` needs to go on where this client is.
    ///
    /// # Panics
    /// When it was never open.
    #[must_use]
    pub fn resumption(&self) -> Value {
        let mut params = self.credential.params.clone();
        if let Some(resume) = self.opened.get("resume") {
            params["resume"] = resume.clone();
        }
        let since = self.views.iter().map(|(conversation, view)| (conversation.clone(), view.last.into()));
        params["since"] = Value::Object(since.collect());
        params
    }

    /// Goes on, on a new connection; the answer of `session.open`. The views see to it that what comes is
    /// what was missing.
    ///
    /// # Panics
    /// When the server tells a conversation from another place than asked for, without saying that there is a gap.
    pub async fn resume(&mut self) -> Value {
        let resumed = self.try_resume().await.expect("the server is there");
        resumed.unwrap_or_else(|refused| panic!("it is not resumed: {refused:?}"))
    }

    /// The same, with a server that may end meanwhile: then `None`.
    ///
    /// # Panics
    /// As [`Client::resume`].
    pub async fn try_resume(&mut self) -> Option<Result<Value, Refused>> {
        let params = self.resumption();
        self.try_dial(None).await?;
        let id = self.ask("session.open", params.clone()).await;
        let opened = match self.answer_if_any(id).await? {
            Ok(opened) => opened,
            Err(refused) => return Some(Err(refused)),
        };
        self.opened = opened.clone();
        let from = |conversation: &Value| {
            (conversation["from_seq"].as_u64(), params["since"][conversation["id"].as_str().unwrap_or_default()].as_u64())
        };
        for (from_seq, since) in opened["conversations"].as_array().into_iter().flatten().map(from) {
            assert!(since.is_none() || from_seq >= since, "told from before what is known: {opened}");
            assert!(since.is_none() || from_seq == since || opened["resumed"] == false, "a gap is not announced: {opened}");
        }
        Some(Ok(opened))
    }

    /// Ends the connection without a word, as a train does in a tunnel.
    pub fn cut(&mut self) {
        self.socket = None;
    }

    // ---- asking

    /// Asks; the answer comes with [`Client::answer`].
    pub async fn ask(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.asked.insert(id, Asked { method: method.to_owned(), params });
        self.say(&request.to_string()).await;
        id
    }

    /// Sends any text.
    pub async fn say(&mut self, text: &str) {
        if let Some(socket) = &mut self.socket {
            // A connection that has ended says so when it is read.
            let _ = socket.send(Message::text(text)).await;
        }
    }

    /// The answer to what was asked.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn answer(&mut self, id: u64) -> Result<Value, Refused> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            assert!(self.hear(begun).await, "the connection ended before the answer {id}: {:?}", self.closed);
        }
    }

    /// The answer, or `None` when the connection ends before.
    pub async fn answer_if_any(&mut self, id: u64) -> Option<Result<Value, Refused>> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Some(answer);
            }
            if !self.hear(begun).await {
                return None;
            }
        }
    }

    /// Asks, and waits for the answer.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, Refused> {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// Asks for something that is granted.
    ///
    /// # Panics
    /// When it is not.
    pub async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params.clone()).await;
        answer.unwrap_or_else(|refused| panic!("{method} {params}: {refused:?}"))
    }

    /// Asks for something that is granted, again while it is not available.
    ///
    /// # Panics
    /// When it is refused for another reason, or too often.
    pub async fn ok_in_the_end(&mut self, method: &str, params: Value) -> Value {
        for _ in 0..UNAVAILABLE_MAX {
            match self.call(method, params.clone()).await {
                Err(refused) if refused.reason() == "unavailable" => tokio::time::sleep(Duration::from_millis(250)).await,
                answer => return answer.unwrap_or_else(|refused| panic!("{method} {params}: {refused:?}")),
            }
        }
        panic!("{method} {params}: not available");
    }

    /// Asks for something that is refused.
    ///
    /// # Panics
    /// When it is granted.
    pub async fn refused(&mut self, method: &str, params: Value) -> Refused {
        match self.call(method, params.clone()).await {
            Err(refused) => refused,
            Ok(result) => panic!("{method} {params} is granted: {result}"),
        }
    }

    /// Asks for something that is refused with a reason.
    ///
    /// # Panics
    /// When it is granted, or refused otherwise.
    pub async fn refused_as(&mut self, reason: &str, method: &str, params: Value) -> Refused {
        let refused = self.refused(method, params.clone()).await;
        assert_eq!(refused.reason(), reason, "{method} {params}: {refused:?}");
        refused
    }

    /// Has this been heard to the end?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    // ---- hearing

    /// The next notification of this name that fits; those before it stay.
    ///
    /// # Panics
    /// When none comes.
    pub async fn told_where(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.told_at(name, fits).await.0
    }

    /// The same, and when it came.
    ///
    /// # Panics
    /// When none comes.
    pub async fn told_at(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> (Value, Instant) {
        let begun = Instant::now();
        let mut looked_at = 0;
        loop {
            while let Some((heard, params, _)) = self.inbox.get(looked_at) {
                if heard == name && fits(params) {
                    let (_, params, at) = self.inbox.remove(looked_at).expect("just looked at");
                    return (params, at);
                }
                looked_at += 1;
            }
            assert!(self.hear(begun).await, "the connection ended before {name}: {:?}", self.closed);
        }
    }

    /// The next notification of this name.
    pub async fn told(&mut self, name: &str) -> Value {
        self.told_where(name, |_| true).await
    }

    /// The next event of this type in a conversation.
    pub async fn event(&mut self, conversation: &str, kind: &str) -> Value {
        self.told_where("conversation.event", |event| event["conversation"] == conversation && event["type"] == kind).await
    }

    /// Notifications of this name that came and that nobody looked at, without waiting.
    #[must_use]
    pub fn unread(&self, name: &str) -> Vec<&Value> {
        self.inbox.iter().filter(|(heard, ..)| heard == name).map(|(_, params, _)| params).collect()
    }

    /// Forgets all notifications that nobody looked at.
    pub fn forget(&mut self) {
        self.inbox.clear();
    }

    /// Hears what is said for so long.
    pub async fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if !matches!(timeout(left, self.hear(Instant::now())).await, Ok(true)) {
                return;
            }
        }
    }

    /// Waits until the conversation is known up to its head.
    pub async fn catch_up(&mut self, conversation: &str) {
        let head = self.ok_in_the_end("conversation.get", json!({ "conversation": conversation })).await["head"].as_u64();
        let begun = Instant::now();
        while self.views.get(conversation).map(|view| view.last) < head {
            assert!(self.hear(begun).await, "the connection ended: {:?}", self.closed);
        }
    }

    /// What it knows of a conversation.
    ///
    /// # Panics
    /// When it was never told of it.
    #[must_use]
    pub fn view(&self, conversation: &str) -> &View {
        self.views.get(conversation).unwrap_or_else(|| panic!("{conversation} is not known"))
    }

    /// How the server ends the connection: code and reason; 1006 when without a word.
    pub async fn end(&mut self) -> (u16, String) {
        let begun = Instant::now();
        while self.hear(begun).await {}
        self.closed.clone().unwrap_or((1006, String::new()))
    }

    /// Hears one thing; `false` at the end of the connection.
    async fn hear(&mut self, begun: Instant) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let Ok(message) = timeout(left, socket.next()).await else {
            panic!("nothing comes for {PATIENCE:?}; asked: {:?}; unread: {:?}", self.still_asked(), self.names_unread());
        };
        match message {
            Some(Ok(Message::Text(text))) => {
                let heard = serde_json::from_str(&text).expect("the server speaks JSON");
                self.take(heard);
                true
            }
            Some(Ok(Message::Close(frame))) => {
                self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                true
            }
            Some(Ok(_)) => true,
            Some(Err(_)) | None => {
                self.socket = None;
                false
            }
        }
    }

    fn still_asked(&self) -> Vec<&str> {
        self.asked.values().map(|asked| asked.method.as_str()).collect()
    }

    fn names_unread(&self) -> Vec<&str> {
        self.inbox.iter().map(|(name, ..)| name.as_str()).collect()
    }

    fn take(&mut self, heard: Value) {
        if let Value::Array(batch) = heard {
            return batch.into_iter().for_each(|answer| self.take(answer));
        }
        assert_eq!(heard["jsonrpc"], "2.0", "{heard}");
        match (heard["method"].as_str(), heard["id"].as_u64()) {
            (Some(name), None) => self.notified(name, heard["params"].clone()),
            (None, id) => {
                let id = id.unwrap_or(0);
                let answer = match heard.get("error") {
                    Some(error) => Err(Refused(error.clone())),
                    None => Ok(heard["result"].clone()),
                };
                self.answered(id, &answer);
                self.answers.insert(id, answer);
            }
            (Some(_), Some(_)) => panic!("the server asks: {heard}"),
        }
    }

    fn answered(&mut self, id: u64, answer: &Result<Value, Refused>) {
        let Some(Asked { method, params }) = self.asked.remove(&id) else { return };
        let checked = match answer {
            Ok(result) => self.documents.check_result(&method, result),
            Err(refused) if refused.code() == -32_000 => self.documents.check_refusal(&method, refused.reason()),
            Err(_) => Ok(()),
        };
        checked.unwrap_or_else(|why| panic!("{why}"));
        let Ok(result) = answer else { return };
        *self.heard.entry(method.clone()).or_default() += 1;
        match method.as_str() {
            "session.open" => result["conversations"].as_array().into_iter().flatten().for_each(|it| self.followed(it)),
            "conversation.follow" => {
                let id = result["id"].as_str().expect("an id");
                // Followed already: nothing begins anew.
                if !self.views.get(id).is_some_and(|view| view.is_followed) {
                    self.followed(result);
                }
            }
            "conversation.unfollow" => self.unfollowed(&params),
            _ => {}
        }
    }

    fn notified(&mut self, name: &str, params: Value) {
        self.documents.check_notification(self.credential.role, name, &params).unwrap_or_else(|why| panic!("{why}"));
        *self.heard.entry(name.to_owned()).or_default() += 1;
        match name {
            "conversation.event" => {
                let conversation = params["conversation"].as_str().expect("an id");
                let view = self.views.get_mut(conversation);
                view.unwrap_or_else(|| panic!("told of what is not followed: {params}")).hear(&params);
            }
            "conversation.followed" => self.followed(&params),
            "conversation.unfollowed" => self.unfollowed(&params),
            "conversation.updated" => {
                // Rows come together; tests look at them one by one.
                let rows = params["conversations"].as_array().expect("rows").iter();
                let now = Instant::now();
                self.inbox.extend(rows.map(|row| (name.to_owned(), row.clone(), now)));
                return;
            }
            _ => {}
        }
        self.inbox.push_back((name.to_owned(), params, Instant::now()));
    }

    fn followed(&mut self, conversation: &Value) {
        let id = conversation["id"].as_str().expect("an id").to_owned();
        let from_seq = conversation["from_seq"].as_u64().expect("followed from somewhere");
        self.views.entry(id).or_default().follow(from_seq);
    }

    fn unfollowed(&mut self, params: &Value) {
        let id = params["conversation"].as_str().expect("an id");
        if let Some(view) = self.views.get_mut(id) {
            view.is_followed = false;
        }
    }
}
