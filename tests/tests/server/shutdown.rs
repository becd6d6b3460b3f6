//! The end and the beginning of a process: in order, and with a clear word when it cannot be.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use jono_tests::client::Client;
use jono_tests::http;
use jono_tests::raw::{CLOSE, PING, RawSocket, TEXT};
use jono_tests::server::{ROOT_KEY, command};
use jono_tests::world::{World, as_agent};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn asked_to_end_it_tells_everybody_and_keeps_its_word() {
    let mut world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.catch_up(&conversation).await;
    let mut asked = Vec::new();
    for number in 0..60 {
        let said = json!({ "conversation": conversation, "text": number.to_string(), "key": number.to_string() });
        asked.push((number, anna.ask("message.send", said).await));
    }
    anna.answer(asked[5].1).await.expect("granted");
    world.server.terminate();
    let mut granted = vec![5];
    for (number, id) in asked {
        match anna.answer_if_any(id).await {
            Some(Ok(_)) => granted.push(number),
            Some(Err(refused)) => assert!(["unavailable", "busy"].contains(&refused.reason()), "{refused:?}"),
            None => break,
        }
    }
    for client in [&mut vera, &mut anna] {
        assert_eq!(client.end().await.0, 1012);
        assert_eq!(client.unread("server.draining").len(), 1);
    }
    assert_eq!(world.server.ended().await.code(), Some(0), "in order");
    world.server.restart().await;
    for client in [&mut vera, &mut anna] {
        assert_eq!(client.resume().await["resumed"], true);
        client.catch_up(&conversation).await;
        for number in &granted {
            let count = client.view(&conversation).texts().iter().filter(|text| **text == number.to_string()).count();
            assert_eq!(count, 1, "{number} was acknowledged");
        }
    }
}

#[tokio::test]
async fn while_it_ends_it_is_not_ready_and_takes_nobody() {
    let mut world = World::start().await;
    // A peer that does not answer the close keeps the server a moment.
    let mut lingering = RawSocket::open(world.server.address()).await;
    let mut probe = TcpStream::connect(world.server.address()).await.expect("the server listens");
    let ask = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\n\r\n", world.server.address());
    let mut ready = async || -> Option<String> {
        probe.write_all(ask.as_bytes()).await.ok()?;
        let mut bytes = [0; 4096];
        let count = tokio::time::timeout(Duration::from_secs(5), probe.read(&mut bytes)).await.ok()?.ok()?;
        (count > 0).then(|| String::from_utf8_lossy(&bytes[..count]).into_owned())
    };
    assert!(ready().await.expect("an answer").starts_with("HTTP/1.1 200"));
    world.server.terminate();
    let told = loop {
        match lingering.next().await {
            Some((CLOSE, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
            Some((PING | TEXT, _)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told, 1012);
    let answer = ready().await;
    assert!(answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 503")), "{answer:?}");
    let fresh = http::try_request(world.server.address(), "GET", "/readyz", &[], None).await;
    assert!(fresh.as_ref().map_or(true, |answer| answer.status == 503), "{fresh:?}");
    assert_eq!(world.server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_peer_that_does_not_let_go_is_cut_off_after_the_grace() {
    let mut world = World::with(&[("JONO_SHUTDOWN_GRACE_MS", "500"), ("JONO_SOCKETS_CLOSING_MS", "20000")]).await;
    let _lingering = RawSocket::open(world.server.address()).await;
    let begun = Instant::now();
    world.server.terminate();
    assert_eq!(world.server.ended().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut world = World::with(&[("JONO_SHUTDOWN_GRACE_MS", "60000"), ("JONO_SOCKETS_CLOSING_MS", "60000")]).await;
    let mut lingering = RawSocket::open(world.server.address()).await;
    world.server.terminate();
    while !matches!(lingering.next().await, Some((CLOSE, _))) {}
    world.server.terminate();
    assert_eq!(world.server.ended().await.code(), Some(1));
}

/// Tries to serve these data; it must not succeed.
fn refused(data: &Path, listen: &str) -> (Option<i32>, String) {
    let data = data.to_str().expect("a path in UTF-8");
    let mut child = command(&["serve", "--listen", listen, "--data", data]);
    let child = child.env("JONO_ROOT_KEY", ROOT_KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("jono can be run");
    let begun = Instant::now();
    while child.try_wait().expect("our own child").is_none() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // In case it serves after all.
    let _ = child.kill();
    let Output { status, stderr, .. } = child.wait_with_output().expect("our own child");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test]
async fn two_processes_do_not_share_data_or_an_address() {
    let mut world = World::start().await;
    let (code, said) = refused(&world.server.data_dir(), "127.0.0.1:0");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let (code, said) = refused(&elsewhere.path().join("data"), world.server.address());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the address is in use") && said.contains("--listen"), "{said}");
    assert!(!elsewhere.path().join("data").exists(), "nothing was made");
    let mut vera = world.customer("Vera").await;
    world.start_conversation(&mut vera, "The first one goes on").await;
    world.server.kill9();
    world.server.restart().await;
    assert_eq!(vera.resume().await["resumed"], true, "a lock does not outlive its process");
}

#[tokio::test]
async fn data_that_cannot_be_written_are_refused_with_their_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").expect("written");
    for data in [file.clone(), file.join("data")] {
        let (code, said) = refused(&data, "127.0.0.1:0");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("jono: ") && said.contains(&data.display().to_string()), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A server that has stored fifty messages and ended in order, and the conversation.
async fn stored() -> (World, String) {
    let mut world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    for number in 0..50 {
        anna.ok("message.send", json!({ "conversation": conversation, "text": long_text(number) })).await;
    }
    world.server.terminate();
    world.server.ended().await;
    (world, conversation)
}

fn long_text(number: usize) -> String {
    format!("{number} {}", "x".repeat(1_000))
}

#[tokio::test]
async fn what_is_damaged_is_noticed_and_never_told() {
    let (world, conversation) = stored().await;
    let (mut refused, mut served) = (0, 0);
    for file in files(&world.server.data_dir()).into_iter().filter(|file| file.metadata().is_ok_and(|it| it.len() > 64)) {
        let good = fs::read(&file).expect("read");
        for at in [0, good.len() / 2] {
            let mut bad = good.clone();
            bad[at..].iter_mut().take(64).for_each(|byte| *byte ^= 0xa5);
            fs::write(&file, &bad).expect("written");
            let copy = tempfile::tempdir().expect("a directory");
            copy_all(&world.server.data_dir(), copy.path());
            let (mut child, first_line) = begin(copy.path());
            let address = first_line.split("listening on ").nth(1).and_then(|rest| rest.split(';').next());
            match address {
                Some(address) => {
                    served += 1;
                    tells_nothing_damaged(&world, address, &conversation).await;
                }
                None => refused += 1,
            }
            // When it serves.
            let _ = child.kill();
            let Output { status, stderr, .. } = child.wait_with_output().expect("our own child");
            let said = String::from_utf8_lossy(&stderr);
            assert!(!said.contains("panicked"), "{}: {said}", file.display());
            if address.is_none() {
                assert_eq!(status.code(), Some(1), "{}: {said}", file.display());
                assert!(said.contains("jono: ") && said.contains("the data directory"), "{}: {said}", file.display());
            }
        }
        fs::write(&file, &good).expect("written");
    }
    assert!(refused > 0 && refused + served > 5, "refused {refused}, served {served}");
}

/// Whatever the agent is told is what was once written.
async fn tells_nothing_damaged(world: &World, address: &str, conversation: &str) {
    let mut anna = Client::connect(address, &world.documents, as_agent(&world.acme.anna)).await;
    let opened = anna.call("session.open", as_agent(&world.acme.anna).params).await;
    if opened.is_err() {
        return;
    }
    let asked = json!({ "conversation": conversation, "limit": 500 });
    let Ok(history) = anna.call("conversation.history", asked).await else { return };
    for event in history["events"].as_array().expect("events").iter().filter(|event| event["type"] == "message") {
        let seq = event["seq"].as_u64().expect("a number") as usize;
        let expected = if seq == 3 { "Hello?".to_owned() } else { long_text(seq - 5) };
        assert_eq!(event["body"]["text"], expected);
    }
}

/// Starts on these data; the first line that it prints, or nothing when it ends instead.
fn begin(data: &Path) -> (Child, String) {
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("a path in UTF-8")]);
    let command = command.env("JONO_ROOT_KEY", ROOT_KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("jono can be run");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    (child, line)
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy_all(&path, &to) } else { fs::copy(&path, &to).map(|_| ()).expect("copied") }
    }
}

#[tokio::test]
async fn data_in_memory_survive_an_orderly_stop() {
    let mut world = World::with(&[("JONO_DURABILITY", "memory")]).await;
    let mut vera = world.customer("Vera").await;
    let conversation = world.start_conversation(&mut vera, "Hello?").await;
    world.server.terminate();
    assert_eq!(world.server.ended().await.code(), Some(0));
    world.server.restart().await;
    assert_eq!(vera.resume().await["resumed"], true);
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts(), ["Hello?"]);
}
