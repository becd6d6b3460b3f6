//! What `jono serve --demo` prints works as printed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use jono_tests::PATIENCE;
use jono_tests::server::Server;
use serde_json::{Value, json};

/// The commands in a text: lines that begin one, and here-documents to their end.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("curl ") {
            commands.push(line.to_owned());
        } else if line.ends_with("<<'END'") {
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "END").collect();
            commands.push(format!("{line}\n{}\nEND\n", body.join("\n")));
        }
    }
    commands
}

/// `python3` in the command's path is the one that the tests were given.
fn shell(command: &str, path: &Path) -> Command {
    let mut shell = Command::new("bash");
    let known = std::env::var("PATH").unwrap_or_default();
    shell.arg("-c").arg(command).env("PATH", format!("{}:{known}", path.display())).stdin(Stdio::null());
    shell
}

/// A command that goes on until the server ends, and the lines that it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash can be run");
        let (said, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let mut stderr = child.stderr.take().expect("piped");
        let complaints = std::thread::spawn(move || {
            let mut said = String::new();
            // What is no text is not shown.
            let _ = stderr.read_to_string(&mut said);
            said
        });
        Self { child, lines, complaints: Some(complaints) }
    }

    /// The next line that fits.
    fn line(&self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a line comes");
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if fits(&said) {
                return said;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let complaints = self.complaints.take().and_then(|complaints| complaints.join().ok());
            eprintln!("--- a printed command complains\n{}---", complaints.unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn the_welcome_of_the_demo_works_as_printed() {
    let python = std::env::var("JONO_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let path = tempfile::tempdir().expect("a directory");
    let found = Command::new(&python).args(["-c", "import sys, websockets; print(sys.executable)"]).output().expect("a python");
    assert!(found.status.success(), "{python} has no `websockets`: pip install websockets, or name one in JONO_TEST_PYTHON");
    let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    // Not a link: a virtual environment is known by where its python is called from.
    let script = format!("#!/bin/sh\nexec '{found}' \"$@\"\n");
    std::fs::write(path.path().join("python3"), script).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path.path().join("python3"), mode).expect("made runnable");

    let mut server = Server::start(&[("JONO_DEMO", "true")]).await;
    let printed = server.printed_with("Ctrl-C ends it.").await;
    let [curl, visitor, anna] = &commands(&printed)[..] else { panic!("three commands are printed: {printed}") };
    assert!(curl.contains(server.address()) && visitor.contains(server.address()), "{printed}");

    let output = shell(curl, path.path()).output().expect("curl can be run");
    let queues: Value = serde_json::from_slice(&output.stdout).expect("JSON is answered");
    assert_eq!(queues["items"].as_array().map(Vec::len), Some(2), "{queues}");

    let visitor = Running::start(shell(visitor, path.path()));
    visitor.line(|said| said["method"] == "conversation.event" && said["params"]["type"] == "message");
    let anna = Running::start(shell(anna, path.path()));
    let taken = anna.line(|said| said["id"] == 2);
    assert!(taken["result"]["claim"].is_u64(), "{taken}");
    let hello = visitor.line(|said| said["params"]["by"]["kind"] == "agent" && said["params"]["type"] == "message");
    assert_eq!(hello["params"]["body"], json!({ "text": "Hello Vera, this is Anna." }));
    let own = anna.line(|said| said["params"]["type"] == "message" && said["params"]["by"]["kind"] == "agent");
    assert_eq!(own["params"]["seq"], hello["params"]["seq"]);

    let page = jono_tests::http::request(server.address(), "GET", "/", None, None).await;
    assert!(page.status == 200 && page.body.contains("<a href"), "{page:?}");
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}
