//! What no decent client sends: each gets its named error or close code, and nobody else feels it.

use jono_tests::client::Client;
use jono_tests::raw::{BINARY, PING, RawSocket, TEXT, frame, frame_head};
use jono_tests::world::World;
use serde_json::{Value, json};

/// The answer to a text on a raw socket.
async fn answer(socket: &mut RawSocket, text: &str) -> Value {
    socket.send(&frame(TEXT, text.as_bytes())).await.expect("the socket is open");
    serde_json::from_str(&socket.text().await).expect("the server speaks JSON")
}

/// A customer who notices when others are disturbed.
async fn bystander(world: &World) -> Client {
    world.customer("Bystander").await
}

async fn undisturbed(client: &mut Client) {
    client.ok("ping", json!({})).await;
    client.ok("queue.list", json!({})).await;
}

#[tokio::test]
async fn what_is_not_json_is_a_parse_error() {
    let world = World::start().await;
    let mut socket = RawSocket::open(world.server.address()).await;
    for text in
        ["", "{", "hello", "{\"id\":1,}", "{'id':1}", "[{]", "\u{feff}{}", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x"]
    {
        let answer = answer(&mut socket, text).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32_700), &Value::Null), "{text:?}: {answer}");
    }
    assert!(answer(&mut socket, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await["result"]["now"].is_u64(), "it goes on");
}

#[tokio::test]
async fn json_that_is_no_request_is_an_invalid_one() {
    let world = World::start().await;
    let mut socket = RawSocket::open(world.server.address()).await;
    let bad = [
        ("1", Value::Null),
        ("\"ping\"", Value::Null),
        ("{}", Value::Null),
        (r#"{"id":7,"method":"ping"}"#, json!(7)),
        (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":1}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":7,"method":"queue.list","params":1}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#, Value::Null),
    ];
    for (text, id) in bad {
        let answer = answer(&mut socket, text).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32_600), &id), "{text}: {answer}");
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(200));
    assert_eq!(answer(&mut socket, &long).await["error"]["code"], -32_600, "an id is kept until the answer");
}

#[tokio::test]
async fn unknown_methods_are_said_to_be() {
    let world = World::start().await;
    let mut vera = bystander(&world).await;
    let long = "x".repeat(10_000);
    for method in ["", "message", "message.sendd", "Message.Send", "rpc.discover", "__proto__", &long] {
        assert_eq!(vera.refused(method, json!({})).await.code(), -32_601, "{method}");
    }
}

#[tokio::test]
async fn wrong_types_name_the_field() {
    let world = World::start().await;
    let (mut vera, mut anna) = (bystander(&world).await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let bad = [
        ("message.send", json!({ "conversation": 5, "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": "conv_", "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": world.acme.support, "text": "x" }), "conversation"),
        ("message.send", json!({ "conversation": conversation, "text": {} }), "text"),
        ("message.send", json!({ "conversation": conversation, "text": null }), "text"),
        ("message.send", json!({ "conversation": conversation }), "text"),
        ("message.send", json!({ "conversation": conversation, "text": "" }), "text"),
        ("message.send", json!({ "conversation": conversation, "text": " \n\t " }), "text"),
        ("message.send", json!({ "conversation": conversation, "text": "x", "claim": -1 }), "claim"),
        ("message.send", json!({ "conversation": conversation, "text": "x", "claim": 1.5 }), "claim"),
        ("message.send", json!({ "conversation": conversation, "text": "x", "key": 1 }), "key"),
        ("priority.set", json!({ "conversation": conversation, "priority": 1000 }), "priority"),
        ("priority.set", json!({ "conversation": conversation, "priority": "high" }), "priority"),
        ("conversation.list", json!({ "view": "theirs" }), "view"),
        ("conversation.list", json!({ "view": "open", "cursor": "made up" }), "cursor"),
        ("conversation.history", json!({ "conversation": conversation, "after": -1 }), "after"),
        ("conversation.search", json!({ "text": "  " }), "text"),
        ("presence.set", json!({ "status": "invisible" }), "status"),
        ("metadata.update", json!({ "conversation": conversation, "metadata": { "a": [1] } }), "metadata"),
        ("metadata.update", json!({ "conversation": conversation, "metadata": { "a": { "b": {} } } }), "metadata"),
        ("metadata.update", json!({ "conversation": conversation, "metadata": "x" }), "metadata"),
        ("customer.block", json!({ "conversation": conversation, "duration_ms": "long" }), "duration_ms"),
        ("canned.set", json!({ "keyword": "two words", "text": "x" }), "keyword"),
    ];
    for (method, params, field) in bad {
        let refused = anna.refused(method, params.clone()).await;
        assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!(field)), "{method} {params}: {refused:?}");
    }
    for params in [json!([conversation, "x"]), json!([])] {
        assert_eq!(anna.refused("message.send", params).await.code(), -32_602, "parameters have names");
    }
    vera.ok("conversation.leave", json!({ "conversation": conversation })).await;
    for rating in [json!(0), json!(6), json!(300), json!(2.5), json!("5")] {
        let refused = vera.refused("conversation.rate", json!({ "conversation": conversation, "rating": rating })).await;
        assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!("rating")));
    }
}

#[tokio::test]
async fn a_batch_has_between_one_and_thirty_two_requests() {
    let world = World::start().await;
    let mut socket = RawSocket::open(world.server.address()).await;
    let batch = |count: usize| {
        let pings: Vec<_> = (0..count).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })).collect();
        json!(pings).to_string()
    };
    for count in [0, 33, 1_000] {
        let answer = answer(&mut socket, &batch(count)).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32_600), &Value::Null), "{count}");
    }
    for count in [1, 32] {
        let answer = answer(&mut socket, &batch(count)).await;
        assert_eq!(answer.as_array().map(Vec::len), Some(count));
    }
    let mixed = r#"[1, {"jsonrpc":"2.0","method":"ping"}, {"jsonrpc":"2.0","id":"a","method":"nothing"}, {"jsonrpc":"2.0","id":"b","method":"ping"}]"#;
    let answers = answer(&mut socket, mixed).await;
    let codes: Vec<_> = answers.as_array().expect("a batch").iter().map(|answer| answer["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(-32_600), json!(-32_601), Value::Null], "one had no id, and no answer");
}

#[tokio::test]
async fn requests_without_an_id_are_done_without_an_answer() {
    let world = World::start().await;
    let (mut vera, mut anna) = (bystander(&world).await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let send = |text: &str| json!({ "jsonrpc": "2.0", "method": "message.send", "params": { "conversation": conversation, "text": text } });
    vera.say(&send("silent").to_string()).await;
    vera.say(&json!([send("one"), send("two")]).to_string()).await;
    vera.say(&json!({ "jsonrpc": "2.0", "method": "nonsense" }).to_string()).await;
    anna.told_where("conversation.event", |event| event["body"]["text"] == "two").await;
    assert_eq!(anna.view(&conversation).texts(), ["Hello?", "silent", "one", "two"]);
    vera.ok("ping", json!({})).await;
}

#[tokio::test]
async fn an_announced_length_is_refused_before_anything_is_kept() {
    let world = World::start().await;
    let mut bystander = bystander(&world).await;
    let before = world.server.resident_bytes();
    for announced in [65_537, 256 << 20, u64::MAX >> 1, u64::MAX] {
        let mut socket = RawSocket::open(world.server.address()).await;
        socket.send(&frame_head(TEXT, announced)).await.expect("the socket is open");
        let code = socket.close_code().await;
        assert!(code == Some(1009) || (announced == u64::MAX && code == Some(1002)), "{announced}: {code:?}");
    }
    let mut fragmented = RawSocket::open(world.server.address()).await;
    let mut first = frame(TEXT, &[b' '; 40_000]);
    first[0] &= 0x7f;
    let mut second = frame(0, &[b' '; 40_000]);
    second[0] &= 0x7f;
    fragmented.send(&first).await.expect("the socket is open");
    let _ = fragmented.send(&second).await;
    assert_eq!(fragmented.close_code().await, Some(1009), "fragments count together");
    let grown = world.server.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    undisturbed(&mut bystander).await;
}

#[tokio::test]
async fn frames_that_break_the_rules_have_their_close_codes() {
    let world = World::start().await;
    let mut bystander = bystander(&world).await;
    let mut unmasked = frame(TEXT, b"{}");
    unmasked[1] &= 0x7f;
    let mut reserved = frame(TEXT, b"{}");
    reserved[0] |= 0x40;
    let mut partial_ping = frame(PING, b"");
    partial_ping[0] &= 0x7f;
    let bad: [(&str, Vec<u8>, u16); 8] = [
        ("binary", frame(BINARY, b"{}"), 1003),
        ("not UTF-8", frame(TEXT, &[0xff, 0xfe]), 1007),
        ("half a character", frame(TEXT, "ä".as_bytes().split_last().expect("two bytes").1), 1007),
        ("not masked", unmasked, 1002),
        ("a reserved bit", reserved, 1002),
        ("an opcode that there is not", frame(5, b""), 1002),
        ("a ping in fragments", partial_ping, 1002),
        ("a ping that is too long", frame(PING, &[0; 126]), 1002),
    ];
    for (what, bytes, code) in bad {
        let mut socket = RawSocket::open(world.server.address()).await;
        socket.send(&bytes).await.expect("the socket is open");
        assert_eq!(socket.close_code().await, Some(code), "{what}");
    }
    undisturbed(&mut bystander).await;
}

#[tokio::test]
async fn nothing_is_done_before_the_session_is_open() {
    let world = World::start().await;
    let mut stranger = world.stranger().await;
    stranger.ok("ping", json!({})).await;
    let methods: Vec<String> = world.documents.methods().map(|method| method.name().to_owned()).collect();
    for method in methods.iter().filter(|method| !["ping", "session.open"].contains(&method.as_str())) {
        stranger.refused_as("unauthorized", method, json!({})).await;
    }
    assert_eq!(stranger.refused("session.open", json!({})).await.code(), -32_602);
    assert_eq!(stranger.refused("session.open", json!({ "role": "root" })).await.code(), -32_602);
    assert_eq!(stranger.refused("session.open", json!({ "role": "customer" })).await.data("field"), "site");
    stranger.ok("session.open", world.as_customer("Vera").params).await;
    stranger.refused_as("conflict", "session.open", world.as_customer("Vera").params).await;
}

#[tokio::test]
async fn writes_under_a_lost_claim_change_nothing() {
    let world = World::start().await;
    let (mut vera, mut anna) = (bystander(&world).await, world.agent(&world.acme.anna).await);
    let mut ben = world.agent(&world.acme.ben).await;
    let (conversation, claim) = world.conversation(&mut vera, &mut anna).await;
    anna.ok("conversation.assign", json!({ "conversation": conversation, "agent": world.acme.ben.id, "claim": claim })).await;
    let head = ben.ok("conversation.get", json!({ "conversation": conversation })).await["head"].clone();
    let writes = [
        ("message.send", json!({ "text": "Late" })),
        ("conversation.release", json!({})),
        ("conversation.touch", json!({})),
        ("conversation.close", json!({})),
        ("conversation.assign", json!({ "agent": world.acme.ben.id })),
        ("conversation.transfer", json!({ "queue": world.acme.sales })),
    ];
    for (method, mut params) in writes {
        params["conversation"] = json!(conversation);
        let held = anna.refused_as("claim_held", method, params.clone()).await;
        assert_eq!(held.data("holder")["name"], "Ben", "{method}");
        params["claim"] = json!(claim);
        let lost = anna.refused_as("claim_lost", method, params).await;
        assert_eq!((&lost.data("holder")["name"], lost.data("claim")), (&json!("Ben"), &json!(2)), "{method}");
    }
    let after = ben.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!((&after["head"], &after["claim"]), (&head, &json!(2)));
}

#[tokio::test]
async fn deeply_nested_json_costs_nothing() {
    let world = World::start().await;
    let mut socket = RawSocket::open(world.server.address()).await;
    for (open, close, deep) in [("[", "]", 30_000), (r#"{"a":"#, "}", 10_000)] {
        let nested = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"session.open","params":{{"role":"customer","site":"x","page":{nested}}}}}"#
        );
        for text in [&nested, &open.repeat(deep), &request] {
            let answer = answer(&mut socket, text).await;
            let code = answer["error"]["code"].as_i64().or_else(|| answer[0]["error"]["code"].as_i64());
            assert!([Some(-32_700), Some(-32_600), Some(-32_602)].contains(&code), "{answer}");
        }
    }
    assert!(answer(&mut socket, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await["result"]["now"].is_u64());
}

#[tokio::test]
async fn texts_have_a_length_and_no_control_characters() {
    let world = World::start().await;
    let (mut vera, mut anna) = (bystander(&world).await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let longest = "ä".repeat(8 * 1024);
    vera.ok("message.send", json!({ "conversation": conversation, "text": longest })).await;
    let over = format!("{longest}!");
    let refused = vera.refused_as("too_large", "message.send", json!({ "conversation": conversation, "text": over })).await;
    assert_eq!(refused.data("max"), 16 * 1024);
    anna.refused_as("too_large", "note.add", json!({ "conversation": conversation, "text": over })).await;
    anna.refused_as("too_large", "canned.set", json!({ "keyword": "x", "text": over })).await;
    let start = json!({ "queue": world.acme.support, "message": over });
    vera.refused_as("too_large", "conversation.start", start).await;
    let start = json!({ "queue": world.acme.support, "name": "x".repeat(201) });
    vera.refused_as("too_large", "conversation.start", start).await;
    let metadata = json!({ "k": "x".repeat(9_000) });
    vera.refused_as("too_large", "metadata.update", json!({ "conversation": conversation, "metadata": metadata })).await;
    for control in ['\0', '\u{1}', '\u{7}', '\u{1b}', '\u{1f}'] {
        let text = format!("a{control}b");
        let refused = vera.refused("message.send", json!({ "conversation": conversation, "text": text })).await;
        assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!("text")), "{text:?}");
    }
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts(), ["Hello?", &longest]);
}

#[tokio::test]
async fn pages_of_other_origins_are_turned_away() {
    let world = World::start().await;
    let sites = format!("/v1/organisations/{}/sites", world.acme.id);
    let site = world.server.root("GET", &sites, None).await.with_status(200)["items"][0].clone();
    let body = json!({ "key": site["key"], "name": site["name"], "origins": ["https://shop.example"] });
    let path = format!("{sites}/{}", site["id"].as_str().expect("an id"));
    world.server.root("PUT", &path, Some(&body)).await.with_status(200);
    let own = format!("http://{}", world.server.address());
    let customer = world.as_customer("Vera").params;
    let agent = json!({ "role": "agent", "token": world.acme.anna.token });
    let tries = [
        (&customer, Some("https://shop.example"), true),
        (&customer, Some("https://SHOP.example"), true),
        (&customer, None, true),
        (&customer, Some("https://evil.example"), false),
        (&customer, Some("https://shop.example.evil.example"), false),
        (&customer, Some("http://shop.example"), false),
        (&customer, Some("null"), false),
        (&agent, Some(own.as_str()), true),
        (&agent, None, true),
        (&agent, Some("https://shop.example"), false),
        (&agent, Some("null"), false),
    ];
    for (params, origin, is_welcome) in tries {
        let mut client = world.stranger().await;
        client.dial(origin).await;
        if is_welcome {
            client.ok("session.open", params.clone()).await;
        } else {
            client.refused_as("forbidden", "session.open", params.clone()).await;
            assert_eq!(client.end().await.0, 4001, "{params} from {origin:?}");
        }
    }
}

#[tokio::test]
async fn sockets_are_at_one_path_and_only_there() {
    let world = World::start().await;
    for path in ["/", "/v1", "/v1/ws/", "/v1/WS", "/v1/ws/x", "/ws", "/v1/organisations"] {
        assert_eq!(RawSocket::upgrade(world.server.address(), path, &[]).await.0, 404, "{path}");
    }
    for path in ["/nothing", "/v1/nothing", "/v1/ws/x"] {
        let answer = world.server.root("GET", path, None).await;
        assert_eq!((answer.status, &answer.json()["error"]["reason"]), (404, &json!("not_found")), "{path}");
    }
    assert_eq!(RawSocket::upgrade(world.server.address(), "/v1/ws?token=secret", &[]).await.0, 101, "a query is passed over");
    let plain = world.server.root("GET", "/v1/ws", None).await;
    assert!((400..500).contains(&plain.status), "no upgrade: {plain:?}");
}
