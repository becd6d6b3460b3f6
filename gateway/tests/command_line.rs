//! The binary, called as operators call it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing of the tests' own environment, and a directory of its own.
fn jono(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jono"));
    command.current_dir(dir).env_clear().stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    jono(dir).args(arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn check_config_prints_what_results() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jono.toml"), "data = 'd'\n[store]\ndurability = 'second'\n").unwrap();
    let output = jono(dir.path()).args(["check-config", "--config", "jono.toml"]).env("JONO_WORKERS", "3").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    for line in [
        "data = \"d\" # jono.toml:1",
        "workers = 3 # JONO_WORKERS",
        "durability = \"second\" # jono.toml:3",
        "role = \"all\" # default",
    ] {
        assert!(text(&output).contains(line), "{line}");
    }
}

#[test]
fn check_config_names_the_directory_that_serve_would_use() {
    let dir = tempfile::tempdir().unwrap();
    let records = |variable: (&str, &str)| {
        let output = jono(dir.path()).arg("check-config").env(variable.0, variable.1).output().unwrap();
        text(&output).lines().next().unwrap().to_owned()
    };
    let here = dir.path().canonicalize().unwrap();
    let default = records(("JONO_WORKERS", "1"));
    assert!(default.starts_with("# `jono serve` keeps its records in /") && default.ends_with("/jono-data"), "{default}");
    assert!(default.contains(here.file_name().unwrap().to_str().unwrap()), "{default}");
    assert!(records(("JONO_DATA", "/records")).ends_with(" in /records"));
    assert!(records(("JONO_DURABILITY", "memory")).contains("in memory only"));
}

#[test]
fn the_help_of_serve_names_every_variable_and_what_goes_over_what() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(&run(dir.path(), &["serve", "--help"]));
    for (flag, _) in jono_gateway::config::flags() {
        let variable = format!("JONO_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        assert!(help.contains(flag) && help.contains(&variable), "{flag}: {help}");
    }
    assert!(help.contains("JONO_CONFIG") && help.contains("Each over the one before"), "{help}");
}

#[test]
fn check_config_says_all_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jono.toml"), "[store]\ndurabilty = 'disk'\n[log]\nformat = 'xml'\n").unwrap();
    let output = run(dir.path(), &["check-config", "--config", "jono.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = errors(&output);
    assert!(errors.contains("jono: jono.toml:2: unknown key `durabilty` in [store]; did you mean `durability`?"), "{errors}");
    assert!(errors.contains("jono: jono.toml:4: `log.format` is `xml`, but must be one of text, json"), "{errors}");
    let output = run(dir.path(), &["check-config", "--config", "none.toml"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn serve_refuses_what_is_wrong_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (["serve", "--demo", "--listen", "0.0.0.0:0"], "the demo is refused on 0.0.0.0:0"),
        (["serve", "--demo", "--role", "engine"], "`engine` needs Redis"),
        (["serve", "--demo", "--durability", "dsk"], "did you mean `disk`?"),
        (["serve", "--demo", "--data", ""], "`data` is empty"),
    ] {
        let output = run(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors(&output).contains(expected), "{}", errors(&output));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn documents_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    for (document, part) in [("openapi", "\"openapi\": \"3.1.0\""), ("openrpc", "\"openrpc\""), ("protocol", "session.open")] {
        let output = run(dir.path(), &["schema", document]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output).contains(part), "{document}");
    }
    assert!(text(&run(dir.path(), &["--version"])).starts_with("jono 0."));
}

/// A server that is ended with its test.
struct Running {
    child: Child,
    address: String,
    said: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(dir: &Path, arguments: &[&str]) -> Running {
    let mut command = jono(dir);
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    if said.is_empty() {
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("jono did not start: {errors}");
    }
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    // The rest is read, so that nobody waits for it to be.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Running { child, address, said }
}

impl Running {
    fn get(&self, path: &str, bearer: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("jono did not end");
    }
}

const DEMO: &str = "/v1/organisations/org_demoaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn the_demo_starts_ends_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = serve(dir.path(), &["--demo", "--no-bots"]);
    assert!(first.said.contains("durability disk: an acknowledgement survives a power cut"), "{}", first.said);
    assert!(first.get("/readyz", "").starts_with("HTTP/1.1 200"));
    assert!(first.get(DEMO, "jat_demo-olivia").contains("\"name\":\"Demo\""));
    assert!(first.get(DEMO, "jat_demo-anna").starts_with("HTTP/1.1 403"));
    let root = std::fs::read_to_string(dir.path().join("jono-data/root.key")).unwrap();
    assert!(first.get("/v1/organisations", root.trim()).contains("org_demo"));
    assert_eq!(first.terminate(), Some(0));
    let exposed = run(dir.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(exposed.status.code(), Some(2));
    assert!(errors(&exposed).contains("whose credentials are public"), "{}", errors(&exposed));
    let second = serve(dir.path(), &[]);
    assert!(second.get(DEMO, "jat_demo-olivia").contains("\"name\":\"Demo\""), "kept, without --demo");
    assert!(second.said.contains("organisations: 1;"), "{}", second.said);
}

#[test]
fn nobody_scripted_comes_without_the_demo_or_with_no_bots() {
    let agents = format!("{DEMO}/agents");
    let dir = tempfile::tempdir().unwrap();
    let mut quiet = serve(dir.path(), &["--demo", "--no-bots"]);
    assert!(!quiet.get(&agents, "jat_demo-olivia").contains("Robo"));
    assert_eq!(quiet.terminate(), Some(0));
    let mut plain = serve(dir.path(), &[]);
    assert!(!plain.get(&agents, "jat_demo-olivia").contains("Robo"));
    assert_eq!(plain.terminate(), Some(0));
    let mut lively = serve(dir.path(), &["--demo"]);
    assert!(lively.get(&agents, "jat_demo-olivia").contains("Robo"));
    assert_eq!(lively.terminate(), Some(0));
}

#[test]
fn a_directory_and_an_address_serve_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let first = serve(dir.path(), &[]);
    let output = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(errors(&output), "jono: ./jono-data: the data directory is in use by another process\n");
    let output = run(dir.path(), &["serve", "--data", "other", "--listen", &first.address]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("jono: cannot listen on {}: the address is in use", first.address);
    assert!(errors(&output).starts_with(&expected), "{}", errors(&output));
    assert!(!dir.path().join("other").exists());
}

#[test]
fn what_cannot_be_a_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let output = run(dir.path(), &["serve", "--data", "file", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).starts_with("jono: file: the data directory cannot be used: "), "{}", errors(&output));
}

#[test]
fn memory_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = serve(dir.path(), &["--durability", "memory"]);
    assert!(running.said.contains("data none; durability memory"), "{}", running.said);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // An address port of our own is free again at once.
    TcpListener::bind(&running.address).unwrap();
}
