//! NATS with JetStream, over WebSocket: `conv.RECEIVER.CONVERSATION` is stored in the stream `CHAT`, and the stream answers the
//! publisher's inbox when it is. `loadtest/peers/nats` makes the stream.

use std::borrow::Cow;

use super::{About, Action, Frame, Frames, Reach, Reason, Settings, Target, Told, Upgrade, Who, Writing};

/// Number of the subscription to what others say.
const MESSAGES: &str = "1";
/// Number of the subscription to the stream's answers.
const ANSWERS: &str = "2";

/// The adapter.
#[derive(Debug)]
pub struct Nats {
    path: String,
}

/// What a connection remembers.
#[derive(Debug, Default)]
pub struct Session {
    /// What came behind the last whole line or message.
    rest: Vec<u8>,
    ready: bool,
    opened_before: bool,
}

impl Nats {
    /// Of a server at the path of the settings, by default `/`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { path: if settings.path.is_empty() { "/".to_owned() } else { settings.path.clone() } }
    }
}

/// One operation of the server.
#[derive(Debug, PartialEq, Eq)]
enum Operation<'a> {
    Info,
    Ping,
    Pong,
    Error(Cow<'a, str>),
    /// `headers` are there only when the server itself has something to say.
    Message {
        subject: &'a str,
        subscription: &'a str,
        headers: bool,
        payload: &'a [u8],
    },
    Other,
}

/// The first operation and its length in bytes; `None` when it is not all there.
fn operation(bytes: &[u8]) -> Result<Option<(Operation<'_>, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| "a line that is no text")?;
    let after = end + 2;
    let mut words = line.split_ascii_whitespace();
    let operation = match words.next() {
        Some("INFO") => Operation::Info,
        Some("PING") => Operation::Ping,
        Some("PONG") => Operation::Pong,
        Some("-ERR") => Operation::Error(line[4..].trim().into()),
        Some(kind @ ("MSG" | "HMSG")) => {
            let wrong = || format!("a message of an unknown form: {line}");
            let subject = words.next().ok_or_else(wrong)?;
            let subscription = words.next().ok_or_else(wrong)?;
            let size: usize = words.next_back().and_then(|size| size.parse().ok()).ok_or_else(wrong)?;
            let Some(payload) = bytes.get(after..after + size) else { return Ok(None) };
            let whole = after + size + 2;
            if bytes.len() < whole {
                return Ok(None);
            }
            return Ok(Some((Operation::Message { subject, subscription, headers: kind == "HMSG", payload }, whole)));
        }
        _ => Operation::Other,
    };
    Ok(Some((operation, after)))
}

fn name(who: Who) -> String {
    match who {
        Who::Customer(number) => format!("c{number}"),
        Who::Agent(number) => format!("a{number}"),
    }
}

/// Conversation and number, the last two words of the inbox that a message named.
fn answered(subject: &str) -> Option<(u32, u32)> {
    let mut words = subject.rsplit('.');
    let number = words.next()?.parse().ok()?;
    Some((words.next()?.parse().ok()?, number))
}

impl Session {
    fn take(&mut self, who: Who, operation: &Operation<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) -> Result<(), String> {
        match operation {
            Operation::Info if !self.ready => {
                let me = name(who);
                let hello = format!(
                    "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB conv.{me}.* {MESSAGES}\r\nSUB _INBOX.{me}.> {ANSWERS}\r\nPING\r\n"
                );
                out.binary(|bytes| bytes.extend_from_slice(hello.as_bytes()));
            }
            Operation::Ping => out.binary(|bytes| bytes.extend_from_slice(b"PONG\r\n")),
            Operation::Pong if !self.ready => {
                self.ready = true;
                // What was said meanwhile is in the stream, but nobody asks for it.
                told.push(Told::Ready { complete: self.opened_before.then_some(false) });
                self.opened_before = true;
            }
            Operation::Error(why) => return Err(format!("the server says {why}")),
            Operation::Message { subject, subscription: ANSWERS, headers, payload } => {
                let (conversation, number) = answered(subject).ok_or("an answer to a message that nobody sent")?;
                if *headers || payload.windows(7).any(|part| part == b"\"error\"") {
                    let about = About::Send { conversation, number };
                    told.push(Told::Refused { about, reason: Reason::Other });
                } else {
                    told.push(Told::Acknowledged { conversation, number });
                }
            }
            Operation::Message { payload, .. } => told.extend(Told::shown(payload, Writing::Plain)),
            Operation::Info | Operation::Pong | Operation::Other => {}
        }
        Ok(())
    }
}

impl Target for Nats {
    type Session = Session;

    fn reach(&self) -> Reach {
        Reach { agents: true, queue: false, typing: false, hand_over: false, notes: false, repeats: false, resumes: false }
    }

    fn upgrade(&self, _: Who) -> Upgrade {
        Upgrade { path: self.path.clone(), subprotocol: None }
    }

    /// The server speaks first.
    fn opened(&mut self, _: Who, _: &mut Session, _: &mut Frames<'_>, _: &mut Vec<Told>) {}

    fn act(&mut self, who: Who, _: &mut Session, action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match action {
            // Everything that is said to this user is subscribed to.
            Action::Join(pair) => told.push(Told::Joined { conversation: pair.conversation }),
            Action::Send { pair, number, text } => out.binary(|bytes| {
                let receiver = match who {
                    Who::Customer(_) => Who::Agent(pair.agent),
                    Who::Agent(_) => Who::Customer(pair.customer),
                };
                let (to, me, conversation) = (name(receiver), name(who), pair.conversation);
                let head = format!("PUB conv.{to}.{conversation} _INBOX.{me}.{conversation}.{number} {}\r\n", text.len());
                bytes.extend_from_slice(head.as_bytes());
                bytes.extend_from_slice(text.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }),
            Action::End { conversation } => told.push(Told::Ended { conversation }),
            Action::Begin { .. } | Action::Pick | Action::Note { .. } | Action::Typing { .. } => {}
            Action::HandOver { .. } | Action::Leave => {}
        }
    }

    fn heard(
        &mut self,
        who: Who,
        session: &mut Session,
        frame: Frame<'_>,
        out: &mut Frames<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), String> {
        // Frames end anywhere; nearly always behind an operation, and then nothing is copied.
        let joined;
        let mut bytes = frame.bytes();
        if !session.rest.is_empty() {
            session.rest.extend_from_slice(bytes);
            joined = std::mem::take(&mut session.rest);
            bytes = &joined;
        }
        while let Some((operation, length)) = operation(bytes)? {
            session.take(who, &operation, out, told)?;
            bytes = &bytes[length..];
        }
        session.rest = bytes.to_vec();
        Ok(())
    }

    fn lost(&mut self, _: Who, session: &mut Session) {
        session.ready = false;
        session.rest = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_when_they_are_whole() {
        let bytes = b"MSG conv.a7.42 1 _INBOX.c1.42.3 5\r\na\r\nbc\r\nPING\r\n";
        let whole = bytes.len() - b"PING\r\n".len();
        for end in 0..whole {
            assert_eq!(operation(&bytes[..end]), Ok(None), "{end}");
        }
        let message = Operation::Message { subject: "conv.a7.42", subscription: MESSAGES, headers: false, payload: b"a\r\nbc" };
        assert_eq!(operation(bytes), Ok(Some((message, whole))));
        assert_eq!(operation(&bytes[whole..]), Ok(Some((Operation::Ping, 6))));
    }

    #[test]
    fn that_nobody_stores_it_is_said_in_headers() {
        let bytes = b"HMSG _INBOX.c1.42.3 2 16 16\r\nNATS/1.0 503\r\n\r\n\r\n";
        let Ok(Some((Operation::Message { subject, headers: true, .. }, length))) = operation(bytes) else {
            panic!("{:?}", operation(bytes));
        };
        assert_eq!((answered(subject), length), (Some((42, 3)), bytes.len()));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert!(operation(b"MSG x\r\n").is_err());
        assert!(operation(b"\xff\r\n").is_err());
    }
}
