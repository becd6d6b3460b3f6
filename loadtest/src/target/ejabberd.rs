//! XMPP over WebSocket (RFC 7395) with stream management (XEP-0198): the server archives each message, and says how many stanzas
//! it has handled when it is asked to, which is asked behind every message.

use std::collections::VecDeque;

use super::{About, Action, Frame, Frames, Reach, Reason, Settings, Target, Told, Upgrade, Who, Writing};

const OPEN: &str = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>"#;
const BIND: &str = r#"<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>r</resource></bind></iq>"#;
const COUNT: &str = r#"<enable xmlns="urn:xmpp:sm:3"/>"#;
const ASK: &str = r#"<r xmlns="urn:xmpp:sm:3"/>"#;

/// The adapter.
#[derive(Debug)]
pub struct Ejabberd {
    path: String,
}

/// How far the sign-in is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Anonymous,
    Authenticated,
    Bound,
    /// Stanzas are counted.
    Counted,
    Ready,
}

/// What a connection remembers.
#[derive(Debug, Default)]
pub struct Session {
    stage: Stage,
    opened_before: bool,
    /// Stanzas since counting began, modulo 2^32 as the protocol has it.
    sent: u32,
    heard: u32,
    /// Messages that are not acknowledged: the count after each, conversation and number.
    waiting: VecDeque<(u32, u32, u32)>,
}

impl Ejabberd {
    /// Of a server at the path of the settings, by default `/ws`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { path: if settings.path.is_empty() { "/ws".to_owned() } else { settings.path.clone() } }
    }
}

fn name(who: Who) -> String {
    match who {
        Who::Customer(number) => format!("c{number}"),
        Who::Agent(number) => format!("a{number}"),
    }
}

fn element(out: &mut Frames<'_>, element: &str) {
    out.text(|bytes| bytes.extend_from_slice(element.as_bytes()));
}

fn xml_escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(byte),
        }
    }
}

/// The name of the element at the beginning.
fn kind(frame: &[u8]) -> &[u8] {
    let name = frame.strip_prefix(b"<").unwrap_or(frame);
    let end = name.iter().position(|byte| b" />".contains(byte)).unwrap_or(name.len());
    &name[..end]
}

/// The value of an attribute of the first element.
fn attribute<'a>(frame: &'a [u8], name: &str) -> Option<&'a str> {
    let tag = &frame[..frame.iter().position(|byte| *byte == b'>')?];
    let tag = std::str::from_utf8(tag).ok()?;
    let (_, value) = tag.split_once(&format!(" {name}="))?;
    let quote = value.chars().next()?;
    value[1..].split(quote).next()
}

impl Session {
    fn signing_in(&mut self, who: Who, kind: &[u8], frame: &[u8], out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match (self.stage, kind) {
            (Stage::Anonymous, b"stream:features") => out.text(|bytes| {
                use base64::Engine as _;
                let secret = base64::engine::general_purpose::STANDARD.encode(format!("\0{}\0p", name(who)));
                let auth = format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{secret}</auth>"#);
                bytes.extend_from_slice(auth.as_bytes());
            }),
            (Stage::Anonymous, b"success") => {
                self.stage = Stage::Authenticated;
                element(out, OPEN);
            }
            (Stage::Authenticated, b"stream:features") => element(out, BIND),
            (Stage::Authenticated, b"iq") if attribute(frame, "type") == Some("result") => {
                self.stage = Stage::Bound;
                element(out, COUNT);
            }
            (Stage::Bound, b"enabled") => {
                self.stage = Stage::Counted;
                self.sent = 1;
                element(out, "<presence/>");
            }
            // Its own presence: from now on messages come here.
            (Stage::Counted, b"presence") => {
                self.stage = Stage::Ready;
                // What was said meanwhile is in the archive, but nobody asks for it.
                told.push(Told::Ready { complete: self.opened_before.then_some(false) });
                self.opened_before = true;
            }
            (_, b"failure") => told.push(Told::Refused { about: About::SignIn, reason: Reason::Unauthorised }),
            (_, b"iq" | b"failed") => told.push(Told::Refused { about: About::SignIn, reason: Reason::Other }),
            _ => {}
        }
    }

    /// The server has handled so many stanzas.
    fn acknowledged(&mut self, handled: u32, told: &mut Vec<Told>) {
        while let Some(&(count, conversation, number)) = self.waiting.front()
            && handled.wrapping_sub(count) < u32::MAX / 2
        {
            self.waiting.pop_front();
            told.push(Told::Acknowledged { conversation, number });
        }
    }
}

impl Target for Ejabberd {
    type Session = Session;

    fn reach(&self) -> Reach {
        Reach { agents: true, queue: false, typing: false, hand_over: false, notes: false, repeats: false, resumes: false }
    }

    fn upgrade(&self, _: Who) -> Upgrade {
        Upgrade { path: self.path.clone(), subprotocol: Some("xmpp") }
    }

    fn opened(&mut self, _: Who, _: &mut Session, out: &mut Frames<'_>, _: &mut Vec<Told>) {
        element(out, OPEN);
    }

    fn act(&mut self, who: Who, session: &mut Session, action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>) {
        match action {
            // Messages go to the other one's address.
            Action::Join(pair) => told.push(Told::Joined { conversation: pair.conversation }),
            Action::Send { pair, number, text } => {
                let receiver = match who {
                    Who::Customer(_) => Who::Agent(pair.agent),
                    Who::Agent(_) => Who::Customer(pair.customer),
                };
                session.sent = session.sent.wrapping_add(1);
                session.waiting.push_back((session.sent, pair.conversation, number));
                out.text(|bytes| {
                    let (to, id) = (name(receiver), session.sent);
                    bytes
                        .extend_from_slice(format!(r#"<message to="{to}@localhost/r" type="chat" id="m{id}"><body>"#).as_bytes());
                    xml_escape(bytes, text);
                    bytes.extend_from_slice(b"</body></message>");
                });
                element(out, ASK);
            }
            Action::End { conversation } => told.push(Told::Ended { conversation }),
            Action::Leave => element(out, r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#),
            Action::Begin { .. } | Action::Pick | Action::Note { .. } | Action::Typing { .. } | Action::HandOver { .. } => {}
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
        let frame = frame.bytes();
        let kind = kind(frame);
        if session.stage >= Stage::Counted && matches!(kind, b"message" | b"presence" | b"iq") {
            session.heard = session.heard.wrapping_add(1);
        }
        match kind {
            // A message that comes back is one that nobody was shown.
            b"message" if attribute(frame, "type") != Some("error") => {
                told.extend(Told::shown(frame, Writing::Xml));
            }
            b"a" => {
                let handled = attribute(frame, "h").and_then(|count| count.parse().ok()).ok_or("an answer without a count")?;
                session.acknowledged(handled, told);
            }
            b"r" => element(out, &format!(r#"<a xmlns="urn:xmpp:sm:3" h="{}"/>"#, session.heard)),
            b"close" | b"stream:error" => return Err(format!("the server ends the stream: {}", String::from_utf8_lossy(frame))),
            _ if session.stage != Stage::Ready => session.signing_in(who, kind, frame, out, told),
            _ => {}
        }
        Ok(())
    }

    fn lost(&mut self, _: Who, session: &mut Session) {
        *session = Session { opened_before: session.opened_before, ..Session::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_attributes_are_found() {
        assert_eq!(kind(b"<a h='2' xmlns='urn:xmpp:sm:3'/>"), b"a");
        assert_eq!(kind(b"<r/>"), b"r");
        assert_eq!(attribute(b"<a h='2' xmlns='urn:xmpp:sm:3'/>", "h"), Some("2"));
        assert_eq!(attribute(br#"<message type="error"><body type='chat'/></message>"#, "type"), Some("error"));
        assert_eq!(attribute(b"<message><body type='chat'/></message>", "type"), None);
    }

    #[test]
    fn a_count_acknowledges_all_messages_up_to_it() {
        let mut session = Session { waiting: [(2, 42, 0), (3, 42, 1), (5, 43, 0)].into(), ..Session::default() };
        let mut told = Vec::new();
        session.acknowledged(3, &mut told);
        session.acknowledged(4, &mut told);
        let acknowledged = |number| Told::Acknowledged { conversation: 42, number };
        assert_eq!(told, [acknowledged(0), acknowledged(1)]);
        assert_eq!(session.waiting.len(), 1);
    }

    #[test]
    fn texts_are_escaped() {
        let mut out = Vec::new();
        xml_escape(&mut out, "a < b && c > d\n");
        assert_eq!(out, b"a &lt; b &amp;&amp; c &gt; d\n");
    }
}
