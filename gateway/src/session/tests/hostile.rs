//! G17: no bytes from a client panic, hang or leak.

use super::*;

#[test]
fn what_is_no_request_is_answered_with_the_precise_code() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    for (text, code) in [
        ("", -32_700),
        ("{", -32_700),
        ("nul", -32_700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", -32_700),
        ("\u{feff}{}", -32_700),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", -32_700),
        ("17", -32_600),
        ("null", -32_600),
        ("\"ping\"", -32_600),
        ("{}", -32_600),
        (r#"{"id":1,"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"session.close"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":7}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"session.close","params":[1]}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"text":"\ud800"}}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"text":"a","text":"b"}}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Ping"}"#, -32_601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#, -32_601),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, -32_601),
    ] {
        peer.text(text);
        assert_eq!(peer.code(), code, "{text}");
    }
    let long = |field: &str, text: String| json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", field: text }).to_string();
    peer.text(&long("id", "x".repeat(60_000)));
    assert_eq!(peer.code(), -32_600);
    peer.text(&long("method", "x".repeat(60_000)));
    assert_eq!(peer.code(), -32_601);
}

#[test]
fn ids_come_back_as_they_were() {
    let world = World::new();
    let mut peer = world.peer();
    for id in ["1", "-0.0", "1e400", "123456789012345678901234567890", "null", r#""a\u00e9\n""#, "\"\"", r#""null""#] {
        let text = format!(r#" {{ "method" : "ping", "id" : {id} , "jsonrpc":"2.0", "x":[[]] }} "#);
        let mut sink = Raw::default();
        peer.life.received(&text, NOW, &mut sink);
        assert!(sink.0[0].contains(&format!(r#""id":{id},"#)), "{:?}", sink.0);
    }
}

/// Keeps texts as they are: some numbers are none of `Value`'s.
#[derive(Default)]
struct Raw(Vec<String>);

impl Sink for Raw {
    fn id(&self) -> u64 {
        1
    }
    fn send(&mut self, text: Text) {
        self.0.push(text.as_str().to_owned());
    }
    fn close(&mut self, _: u16, _: &'static str) {}
    fn confirm_open(&mut self) {}
    fn tell_when_drained(&mut self) {}
    fn outbox_bytes(&self) -> usize {
        0
    }
}

#[test]
fn depth_and_size_cost_no_stack_and_no_panic() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let deep = |open: &str, close: &str, count: usize| format!("{}{}", open.repeat(count), close.repeat(count));
    let nested = deep("[", "]", 32_000);
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for inner in [nested.as_str(), objects.as_str(), "1e999999", &"9".repeat(60_000)] {
        peer.text(inner);
        peer.text(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{inner}}}}}"#));
        peer.text(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":{inner}}}"#));
        peer.text(&format!(r#"{{"jsonrpc":"2.0","id":{inner},"method":"ping"}}"#));
        let on = conversation(4);
        peer.text(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"metadata.update","params":{{"conversation":"{on}","metadata":{{"k":{inner}}}}}}}"#
        ));
        peer.text(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"receipt.read","params":{{"conversation":"{on}","seq":{inner}}}}}"#
        ));
    }
    assert!(peer.sink.sent.len() >= 20);
    peer.sent();
    let text = "\u{1F480}\"\\\u{0}".repeat(5_000);
    peer.ask("message.send", json!({ "conversation": conversation(4).to_string(), "text": text }));
    assert!(peer.asked().iter().any(|it| matches!(it, Asked::Send(_))), "what the text may be is for the domain to say");
}

#[test]
fn bad_fields_are_named() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let on = conversation(4).to_string();
    let foreign = queue(1).to_string();
    for (method, params, field) in [
        ("message.send", json!({ "conversation": on }), "text"),
        ("message.send", json!({ "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": foreign, "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": 4, "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": on, "text": ["x"] }), "text"),
        ("message.send", json!({ "conversation": on, "text": "x", "claim": -1 }), "claim"),
        ("message.send", json!({ "conversation": on, "text": "x", "claim": 1.5 }), "claim"),
        ("message.send", json!({ "conversation": on, "text": "x", "key": "" }), "key"),
        ("message.send", json!({ "conversation": on, "text": "x", "key": "é" }), "key"),
        ("message.send", json!({ "conversation": on, "text": "x", "key": "k".repeat(65) }), "key"),
        ("priority.set", json!({ "conversation": on, "priority": 1_000 }), "priority"),
        ("typing.set", json!({ "conversation": on, "typing": "yes" }), "typing"),
        ("metadata.update", json!({ "conversation": on, "metadata": { "a": { "b": { "c": 1 } } } }), "metadata"),
        ("metadata.update", json!({ "conversation": on, "metadata": { "": 1 } }), "metadata"),
        ("conversation.list", json!({ "view": "all" }), "view"),
        ("conversation.history", json!({ "conversation": on, "after": 1, "before": 2 }), "before"),
        ("conversation.transfer", json!({ "conversation": on }), "queue"),
        ("conversation.search", json!({ "text": "  " }), "text"),
        ("presence.set", json!({ "status": "gone" }), "status"),
    ] {
        peer.ask(method, params.clone());
        let sent = peer.sent_one();
        assert_eq!(sent["error"]["code"], -32_602, "{method} {params}: {sent}");
        assert_eq!(sent["error"]["data"]["field"], field, "{method} {params}: {sent}");
    }
    assert!(peer.asked().is_empty());
}

#[test]
fn random_texts_never_panic() {
    let world = World::new();
    let mut peers = [world.peer(), world.customer(&[4]), world.agent("Ann", &[4])];
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d800",
        "null",
        "true",
        "1",
        "-",
        "e",
        ".",
        " ",
        "jsonrpc",
        "\"2.0\"",
        "\"jsonrpc\":\"2.0\"",
        "\"id\":1",
        "\"method\":\"message.send\"",
        "\"params\":{",
        "\"key\":\"k\"",
        "é",
        "\u{0}",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..(state % 24) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(pieces[(state % pieces.len() as u64) as usize]);
        }
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let peer = &mut peers[(state % 3) as usize];
        peer.now = peer.now + 100;
        peer.text(&text);
        peer.sent();
    }
}
