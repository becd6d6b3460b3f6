//! Bodies of plain requests: who may send one, and in what time.

use std::time::Duration;

use jono_tests::PATIENCE;
use jono_tests::server::ROOT_KEY;
use jono_tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// What is answered to a request that is sent so far and no further, until the server ends the connection; and
/// how long that took.
async fn stalled(world: &World, text: &str) -> (String, Duration) {
    let begun = Instant::now();
    let exchange = async {
        let mut stream = TcpStream::connect(world.server.address()).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("it is read");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer and an end");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("the connection does not end: {text}"));
    (answer, begun.elapsed())
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    // The connection's idle time is longer than anything here may take.
    let world = World::with(&[("JONO_SOCKETS_HANDSHAKE_MS", "1000"), ("JONO_SOCKETS_KEEP_ALIVE_MS", "60000")]).await;
    let organisations = "/v1/organisations";
    let root = format!("Authorization: Bearer {ROOT_KEY}\r\n");
    let json = "Content-Type: application/json\r\n";
    let sized = "Content-Length: 200000\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let request =
        |line: &str, fields: &[&str], begun: &str| format!("{line} HTTP/1.1\r\nHost: jono\r\n{}\r\n{begun}", fields.concat());
    let post = format!("POST {organisations}");
    let (read, unread) = (Duration::from_millis(900), Duration::ZERO);
    for (text, status, at_least) in [
        (request("POST /v1/sign-in", &[json, sized], "{"), 408, read),
        (request("POST /v1/sign-in", &[json, chunked], "1\r\n{\r\n"), 408, read),
        (request(&post, &[json, sized, &root], ""), 408, read),
        // Nobody in particular has nothing read.
        (request(&post, &[json, sized], ""), 401, unread),
        (request(&post, &[json, chunked], ""), 401, unread),
        (request(&post, &[json, chunked, "Authorization: Bearer jat_wrong\r\n"], "1\r\n{\r\n"), 401, unread),
        (request(&post, &[json, "Content-Length: 300000\r\n", &root], ""), 413, unread),
        (request("POST /v1/nothing", &[json, sized], ""), 404, unread),
        (request("DELETE /healthz", &[json, sized], ""), 405, unread),
        // Nor has a route that takes no body.
        (request("GET /healthz", &[sized], ""), 200, unread),
        (request("GET /healthz", &[chunked], ""), 200, unread),
        (request("GET /desk/", &[chunked], "1\r\nx\r\n"), 200, unread),
        (request(&format!("GET {organisations}"), &[sized, &root], "x"), 200, unread),
    ] {
        let (answer, took) = stalled(&world, &text).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{text}\n{answer}");
        assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{text}\n{answer}");
        assert!((at_least..Duration::from_secs(5)).contains(&took), "{took:?}: {text}");
    }
    let kept = request("GET /healthz", &[], "") + &request("GET /healthz", &["Connection: close\r\n"], "");
    assert_eq!(stalled(&world, &kept).await.0.matches("HTTP/1.1 200").count(), 2, "a connection without bodies is kept");
}
