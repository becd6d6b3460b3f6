//! Socket.IO 4 over Engine.IO 4, with the server of `loadtest/peers/socketio`: a room is a conversation, and the answer to an
//! emitted message comes when it is in the log.

use super::{About, Action, Frame, Frames, Reach, Reason, Settings, Target, Told, Upgrade, Who, Writing, json_escape};

/// Bits of a message's number within the id of a packet, below them one that says whether it is a join. Ids are JavaScript's numbers: 53
/// bits, of which the conversation takes 24.
const NUMBER_BITS: u32 = 28;

/// The adapter.
#[derive(Debug)]
pub struct SocketIo {
    path: String,
}

/// What a connection remembers: the rooms, which a new connection must join again.
#[derive(Debug, Default)]
pub struct Session {
    joined: Vec<u32>,
    opened_before: bool,
}

impl SocketIo {
    /// Of a server at the path of the settings, by default the one that Socket.IO has.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let usual = "/socket.io/?EIO=4&transport=websocket";
        Self { path: if settings.path.is_empty() { usual.to_owned() } else { settings.path.clone() } }
    }
}

/// What an answered packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Join { conversation: u32 },
    Send { conversation: u32, number: u32 },
}

impl Asked {
    fn id(self) -> u64 {
        let (conversation, rest) = match self {
            Self::Join { conversation } => (conversation, 1),
            Self::Send { conversation, number } => (conversation, u64::from(number) << 1),
        };
        (u64::from(conversation) << (NUMBER_BITS + 1)) | rest
    }

    fn of(id: u64) -> Option<Self> {
        let conversation = u32::try_from(id >> (NUMBER_BITS + 1)).ok()?;
        let number = u32::try_from((id >> 1) & ((1 << NUMBER_BITS) - 1)).ok()?;
        Some(if id & 1 == 1 { Self::Join { conversation } } else { Self::Send { conversation, number } })
    }
}

/// The number of an acknowledgement, `17[...]` behind `43`.
fn answered(packet: &[u8]) -> Option<Asked> {
    let digits = packet.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Asked::of(std::str::from_utf8(&packet[..digits]).ok()?.parse().ok()?)
}

/// An event with one argument, a room, answered if there is a packet id.
fn about_room(out: &mut Frames<'_>, id: Option<u64>, event: &str, conversation: u32) {
    let id = id.map_or(String::new(), |id| id.to_string());
    out.text(|bytes| bytes.extend_from_slice(format!("42{id}[\"{event}\",\"{conversation}\"]").as_bytes()));
}

impl Target for SocketIo {
    type Session = Session;

    fn reach(&self) -> Reach {
        Reach { agents: true, queue: false, typing: false, hand_over: false, notes: false, repeats: false, resumes: false }
    }

    fn upgrade(&self, _: Who) -> Upgrade {
        Upgrade { path: self.path.clone(), subprotocol: None }
    }

    /// The server speaks first.
    fn opened(&mut self, _: Who, _: &mut Session, _: &mut Frames<'_>, _: &mut Vec<Told>) {}

    fn act(&mut self, _: Who, session: &mut Session, action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match action {
            Action::Join(pair) => {
                session.joined.push(pair.conversation);
                about_room(out, Some(Asked::Join { conversation: pair.conversation }.id()), "join", pair.conversation);
            }
            Action::Send { pair, number, text } => out.text(|bytes| {
                let id = Asked::Send { conversation: pair.conversation, number }.id();
                bytes.extend_from_slice(format!("42{id}[\"msg\",{{\"c\":\"{}\",\"d\":\"", pair.conversation).as_bytes());
                json_escape(bytes, text);
                bytes.extend_from_slice(b"\"}]");
            }),
            Action::End { conversation } => {
                session.joined.retain(|joined| *joined != conversation);
                about_room(out, None, "leave", conversation);
                told.push(Told::Ended { conversation });
            }
            Action::Leave => out.text(|bytes| bytes.extend_from_slice(b"41")),
            Action::Begin { .. } | Action::Pick | Action::Note { .. } | Action::Typing { .. } | Action::HandOver { .. } => {}
        }
    }

    fn heard(
        &mut self,
        _: Who,
        session: &mut Session,
        frame: Frame<'_>,
        out: &mut Frames<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), String> {
        match frame.bytes() {
            // Engine.IO: open, ping.
            [b'0', ..] => out.text(|bytes| bytes.extend_from_slice(b"40")),
            [b'2'] => out.text(|bytes| bytes.push(b'3')),
            // Socket.IO: connected, an event, an answer, connecting refused.
            [b'4', b'0', ..] => {
                for conversation in &session.joined {
                    about_room(out, None, "join", *conversation);
                }
                // What was said meanwhile is not shown again.
                told.push(Told::Ready { complete: session.opened_before.then_some(false) });
                session.opened_before = true;
            }
            [b'4', b'2', event @ ..] => told.extend(Told::shown(event, Writing::Json)),
            [b'4', b'3', packet @ ..] => match answered(packet).ok_or("an answer to a packet that nobody sent")? {
                Asked::Join { conversation } => told.push(Told::Joined { conversation }),
                Asked::Send { conversation, number } => told.push(Told::Acknowledged { conversation, number }),
            },
            [b'4', b'4', ..] => told.push(Told::Refused { about: About::SignIn, reason: Reason::Other }),
            [b'1', ..] | [b'4', b'1', ..] => return Err("the server has closed the session".to_owned()),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_was_asked_and_fit_into_53_bits() {
        let (conversation, number) = ((1 << 24) - 1, (1 << 28) - 1);
        for asked in
            [Asked::Join { conversation }, Asked::Send { conversation, number }, Asked::Send { conversation: 0, number: 0 }]
        {
            assert!(asked.id() < 1 << 53);
            assert_eq!(Asked::of(asked.id()), Some(asked));
        }
    }

    #[test]
    fn an_answer_is_known_by_the_id_of_its_packet() {
        let asked = Asked::Send { conversation: 42, number: 7 };
        assert_eq!(answered(format!("{}[\"1718-0\"]", asked.id()).as_bytes()), Some(asked));
        assert_eq!(answered(b"[\"1718-0\"]"), None);
    }
}
