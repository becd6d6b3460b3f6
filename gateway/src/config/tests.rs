//! What the three sources may say, and how errors read.

use std::path::Path;

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jono.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let flags: Vec<Flag> = flags.iter().map(|(flag, value)| Flag { flag, value: (*value).to_owned() }).collect();
    let loaded = Config::load(Some(&path), environment, &flags);
    loaded.map_err(|problems| problems.to_string().replace(&path.display().to_string(), "jono.toml"))
}

fn refused(file: &str) -> String {
    load(file, &[], &[]).unwrap_err()
}

#[test]
fn nothing_said_is_the_defaults() {
    let config = Config::load(None, std::iter::empty(), &[]).unwrap();
    assert_eq!(config.data.as_deref(), Some(Path::new("./jono-data")));
    assert_eq!(config.durability, Durability::Disk);
    assert_eq!(config.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.root_key, RootKey::Generated);
    assert!(config.workers > 0 && !config.demo && !config.log_json);
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", SocketLimits::default()));
    assert_eq!(config.session_limits, SessionLimits::default());
}

#[test]
fn flags_go_over_the_environment_goes_over_the_file() {
    let file = "listen = '127.0.0.1:1'\ndata = 'a'\n[store]\ndurability = 'memory'\n[sockets]\nsockets_max = 5_000";
    let config = load(file, &[("JONO_LISTEN", "127.0.0.1:2, [::1]:2"), ("JONO_DURABILITY", "second")], &[]).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:2".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    assert_eq!((config.durability, config.limits.sockets_max), (Durability::Second, 5000));
    let config = load(file, &[("JONO_DURABILITY", "second")], &[("--durability", "disk"), ("--data", "b")]).unwrap();
    assert_eq!((config.durability, config.data.as_deref()), (Durability::Disk, Some(Path::new("b"))));
}

#[test]
fn memory_without_a_directory_has_none() {
    let flags = [("--durability", "memory")];
    assert_eq!(load("", &[], &flags).unwrap().data, None);
    assert_eq!(load("data = 'a'", &[], &flags).unwrap().data.as_deref(), Some(Path::new("a")));
}

#[test]
fn with_redis_there_is_no_directory_and_engines_listen_only_where_told() {
    let redis = ("--redis", "redis://127.0.0.1:1, redis://127.0.0.1:2");
    let config = load("", &[], &[redis]).unwrap();
    let options = config.redis.clone().unwrap();
    assert_eq!((options.urls.len(), options.prefix.as_str(), options.durability), (2, "jono", Durability::Disk));
    assert_eq!((config.data.clone(), config.role, config.listen.len()), (None, Role::All, 1));
    assert!(config.effective().contains("url = \"********\"") && config.effective().contains("in Redis"));
    let engine = load("", &[], &[redis, ("--role", "engine"), ("--durability", "replica")]).unwrap();
    assert_eq!((engine.role, engine.listen.len(), engine.durability), (Role::Engine, 0, Durability::Replica));
    let told = load("", &[("JONO_REDIS", "redis://x"), ("JONO_LISTEN", "127.0.0.1:5")], &[("--role", "engine")]).unwrap();
    assert_eq!(told.listen.len(), 1);
}

#[test]
fn what_needs_redis_says_so() {
    let role = load("", &[], &[("--role", "gateway")]).unwrap_err();
    assert!(role.contains("`gateway` needs Redis"), "{role}");
    let replica = load("", &[], &[("--durability", "replica")]).unwrap_err();
    assert!(replica.contains("`replica` needs Redis"), "{replica}");
    let both = load("data = 'a'", &[], &[("--redis", "redis://x")]).unwrap_err();
    assert!(both.contains("leave out one of them"), "{both}");
}

#[test]
fn unknown_keys_are_errors_that_name_the_nearest() {
    for (file, expected) in [
        ("[store]\n\ndurabilty = 'disk'", "jono.toml:3: unknown key `durabilty` in [store]; did you mean `durability`?"),
        (
            "durability = 'disk'",
            "jono.toml:1: unknown key `durability` outside of sections; did you mean `durability` in [store]?",
        ),
        (
            "[store]\nlisten = 'x'",
            "jono.toml:2: unknown key `listen` in [store]; did you mean `listen`, which stands before all sections?",
        ),
        ("[sockts]\na = 1", "jono.toml:1: unknown section [sockts]; did you mean `sockets`?"),
        ("zzzzzz = 1", "jono.toml:1: unknown key `zzzzzz` outside of sections"),
    ] {
        assert_eq!(refused(file), expected);
    }
    let error = load("", &[("JONO_DURABILTY", "disk"), ("JONO_PORT_80_TCP", "x")], &[]).unwrap_err();
    assert_eq!(error, "JONO_DURABILTY: no setting has this variable; did you mean `JONO_DURABILITY`?");
}

#[test]
fn wrong_values_name_their_key_and_place() {
    for (file, expected) in [
        ("workers = 'two'", "jono.toml:1: `workers` must be a whole number, not string"),
        ("workers = -1", "jono.toml:1: `workers` is -1, but must be a whole number from 0 to 1024"),
        (
            "\nshutdown_grace_ms = 600001",
            "jono.toml:2: `shutdown_grace_ms` is 600001, but must be a whole number from 0 to 600000 (ms)",
        ),
        (
            "[store]\ndurability = 'dsk'",
            "jono.toml:2: `store.durability` is `dsk`, but must be one of memory, second, disk, replica; did you mean `disk`?",
        ),
        (
            "listen = 'localhost'",
            "jono.toml:1: `listen` is `localhost`, but must be IP:PORT, such as 127.0.0.1:8080 or [::1]:8080",
        ),
        ("listen = []", "jono.toml:1: `listen` names no address"),
        ("demo = 1", "jono.toml:1: `demo` must be true or false, not integer"),
        (
            "[desk]\norigins = 'https://desk.example/'",
            "jono.toml:2: `desk.origins` is `https://desk.example/`, but must be scheme://host[:port] without a path, such as https://desk.example",
        ),
        ("role = 'engine'", "jono.toml:1: `role`: `engine` needs Redis (`redis.url`): one process alone runs `all`"),
        ("root_key = 'short'", "jono.toml:1: `root_key`: a root key has at least 32 characters"),
        (
            "[log]\nlevel = 'loud'",
            "jono.toml:2: `log.level`: `loud` is no level; levels are off, error, warn, info, debug, trace",
        ),
        (
            "[sockets]\nsilent_ms = 20000",
            "jono.toml:2: `sockets.silent_ms`: `silent_ms` must be at least 64 ms over `heartbeat_ms`",
        ),
        ("a = ", "jono.toml:1: not TOML: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(refused(file), expected);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    assert_eq!(refused("worker = 1\n[log]\nformat = 'xml'\n").lines().count(), 2);
}

#[test]
fn the_demo_is_refused_where_others_can_reach_it() {
    let error = load("demo = true\nlisten = ['127.0.0.1:1', '0.0.0.0:8080']", &[], &[]).unwrap_err();
    assert_eq!(
        error,
        "jono.toml:2: `listen`: the demo is refused on 0.0.0.0:8080, because its credentials are public: listen on 127.0.0.1 or [::1]"
    );
    assert!(load("demo = true\nlisten = '[::1]:8080'", &[], &[]).unwrap().demo);
}

#[test]
fn the_effective_configuration_reads_back_and_hides_secrets() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = load(&format!("root_key = '{secret}'\n[engine]\narbiters = 3"), &[], &[]).unwrap();
    let shown = config.effective();
    assert!(!shown.contains(secret) && shown.contains("root_key = \"********\""), "{shown}");
    assert!(shown.contains("arbiters = 3 # "), "{shown}");
    let again = shown.replace("********", secret);
    assert_eq!(load(&again, &[], &[]).unwrap().arbiters, 3);
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn every_key_is_told_apart_in_every_source() {
    let mut variables: Vec<String> = keys::KEYS.iter().map(keys::Key::variable).collect();
    variables.sort();
    let count = variables.len();
    variables.dedup();
    assert_eq!(variables.len(), count);
    assert!(keys::KEYS.iter().all(|key| keys::SECTIONS.iter().any(|(section, _)| *section == key.section())));
    for (flag, path) in flags() {
        assert!(keys::KEYS.iter().any(|key| key.path == *path && key.flag() == Some(*flag)));
    }
}

#[test]
fn the_document_is_as_generated() {
    check_document("docs/configuration.md", &document());
}
