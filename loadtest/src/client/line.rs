//! One WebSocket connection: made, read, written. Besides the self-test the only module that names `tokio_tungstenite`.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::limits::{CONNECT_MAX, READ_BUFFER_BYTES};

/// What a connection yields.
pub(super) enum Heard {
    /// A message.
    Text(String),
    /// A sign of life.
    Alive,
    /// The other side closed, with this code.
    Closed(u16, String),
    /// The connection is gone; in words.
    Lost(String),
}

/// A connection. Reading never waits for writing: two full pipes would wait for each other.
pub(super) struct Line {
    reader: SplitStream<WebSocketStream<TcpStream>>,
    outgoing: mpsc::UnboundedSender<String>,
    writer: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Line {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, String> {
        let made = tokio::time::timeout(CONNECT_MAX, Self::handshake(url)).await;
        let (sink, reader) = made.map_err(|_| format!("no answer within {} s", CONNECT_MAX.as_secs()))??.split();
        let (outgoing, texts) = mpsc::unbounded_channel();
        let writer = tokio::task::spawn_local(write(sink, texts));
        Ok(Self { reader, outgoing, writer })
    }

    async fn handshake(url: &str) -> Result<WebSocketStream<TcpStream>, String> {
        let request = url.into_client_request().map_err(|error| error.to_string())?;
        let uri = request.uri();
        if uri.scheme_str() != Some("ws") {
            return Err("only ws:// URLs can be used".to_owned());
        }
        let host = uri.host().ok_or("the URL names no host")?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(|error| error.to_string())?;
        Ok(socket)
    }

    /// Sends, without waiting. What cannot be sent is noticed by reading.
    pub fn send(&self, text: String) {
        let _ = self.outgoing.send(text);
    }

    /// What comes next.
    pub async fn hear(&mut self) -> Heard {
        match self.reader.next().await {
            Some(Ok(Message::Text(text))) => Heard::Text(text.to_string()),
            Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into(), frame.reason.to_string()),
            Some(Ok(Message::Close(None))) => Heard::Closed(1005, String::new()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Heard::Alive,
            Some(Ok(Message::Binary(_))) => Heard::Lost("a binary frame".to_owned()),
            Some(Err(error)) => Heard::Lost(error.to_string()),
            None => Heard::Lost("end of stream".to_owned()),
        }
    }
}

async fn write(mut sink: SplitSink<WebSocketStream<TcpStream>, Message>, mut texts: mpsc::UnboundedReceiver<String>) {
    while let Some(text) = texts.recv().await {
        if sink.feed(Message::text(text)).await.is_err() {
            return;
        }
        // What has gathered meanwhile leaves in one write.
        while let Ok(text) = texts.try_recv() {
            if sink.feed(Message::text(text)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}
