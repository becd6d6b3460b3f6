//! Reading scenarios: what is right, what is wrong and where, what is put over it.

use super::*;

fn right(text: &str, set: &[&str]) -> Scenario {
    let set: Vec<String> = set.iter().map(|assignment| (*assignment).to_owned()).collect();
    read(text, "test", &set).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn wrong(text: &str, set: &[&str]) -> String {
    let set: Vec<String> = set.iter().map(|assignment| (*assignment).to_owned()).collect();
    let problems = read(text, "test", &set).expect_err("something is wrong with it");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const STEADY: &str = "[population]\nconversations = 120\n[[phase]]\nkind = \"steady\"\nmessages_per_second = 5\n";

#[test]
fn defaults_are_filled_in() {
    let scenario = right(STEADY, &[]);
    assert_eq!((scenario.name.as_str(), scenario.seed, scenario.population.agents), ("test", 1, 3));
    assert_eq!(scenario.phases.len(), 2, "the population always connects first");
    assert_eq!((scenario.phases[0].kind, scenario.phases[0].connections_per_second), (PhaseKind::Connect, 2000.0));
    assert_eq!((scenario.phases[1].name.as_str(), scenario.phases[1].seconds), ("steady", 10.0));
    assert_eq!(scenario.phases[1].messages_per_second, (5.0, 5.0));
}

#[test]
fn unknown_keys_are_errors_with_line_and_suggestion() {
    let found = wrong("[population]\nidel = 3\n\n[mesages]\n[[phase]]\nkind = \"steady\"\nmessage_per_second = 1\n", &[]);
    assert_eq!(
        found,
        "line 2: population.idel: no such key; did you mean \"idle\"?\n\
         line 4: mesages: no such key; did you mean the table \"messages\"?\n\
         line 7: phase[1].message_per_second: no such key; did you mean \"messages_per_second\"?"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_sent_to_the_right_one() {
    assert!(wrong("[population]\nagent_percent = 3\n", &[]).contains("it stands in the table \"messages\""));
    assert!(wrong("[population]\nseed = 3\n", &[]).contains("it stands above all tables"));
}

#[test]
fn values_are_checked_against_kind_and_bounds() {
    for (text, says) in [
        ("seed = -1", "whole number"),
        ("seed = 1.5", "whole number"),
        ("seed = \"1\"", "whole number"),
        ("[messages]\nagent_percent = 101", "0 to 100"),
        ("[messages]\narrivals = \"often\"", "`\"poisson\"`, `\"fixed\"`"),
        ("[visits]\ntyping = 1", "`true`, `false`"),
        ("[[population]]\nidle = 1", "written as [population]"),
        ("[phase]\nkind = \"steady\"", "written as [[phase]]"),
        ("seed = ", "line 1"),
    ] {
        assert!(wrong(text, &[]).contains(says), "{text}: {}", wrong(text, &[]));
    }
}

#[test]
fn what_makes_no_sense_together_is_said() {
    for (text, says) in [
        ("[[phase]]\nkind = \"steady\"\nmessages_per_second = 1", "needs conversations"),
        ("[[phase]]\nseconds = 1", "phase.kind: is missing"),
        ("[[phase]]\nkind = \"steady\"\npercent = 50", "means something only in a phase of the kind reconnect_storm"),
        ("[[phase]]\nkind = \"steady\"\n[[phase]]\nkind = \"connect\"", "can only be the first"),
        ("[[phase]]\nkind = \"steady\"\n[[phase]]\nkind = \"steady\"", "two phases are called \"steady\""),
        ("[population]\nconversations = 500\nagents = 2", "at least 3"),
        ("[target]\nname = \"nats\"\n[[phase]]\nkind = \"steady\"\nvisitors_per_second = 1", "has no queue"),
        ("[target]\nname = \"echo\"\n[[phase]]\nkind = \"reconnect_storm\"", "needs a target that resumes"),
        ("[target]\nurl = \"http://x\"", "only ws://"),
        ("[[slo]]\nmetric = \"deliverd\"\nmax_ms = 1", "did you mean \"delivered\"?"),
        ("[[slo]]\nmetric = \"delivered\"\nmax = 1", "is a time"),
        ("[[slo]]\nmetric = \"disconnects\"\nmax = 1\nmin = 1", "one of max and min"),
        ("[[slo]]\nmetric = \"delivered\"\nmax_ms = 1\nphases = [\"x\"]", "there is no phase \"x\""),
    ] {
        assert!(wrong(text, &[]).contains(says), "{text}: {}", wrong(text, &[]));
    }
}

#[test]
fn assignments_stand_over_the_text() {
    let scenario = right(
        STEADY,
        &["seed=7", "population.idle=9", "phase.steady.seconds=2.5", "phase.*.messages_per_second=8", "target.url=ws://h:1/x"],
    );
    assert_eq!((scenario.seed, scenario.population.idle, scenario.target.url.as_str()), (7, 9, "ws://h:1/x"));
    assert_eq!((scenario.phases[1].seconds, scenario.phases[1].messages_per_second.0), (2.5, 8.0));
}

#[test]
fn wrong_assignments_are_said_like_wrong_keys() {
    for (set, says) in [
        ("population.idel=9", "did you mean \"idle\"?"),
        ("phase.steedy.seconds=9", "there is no phase \"steedy\""),
        ("seed", "key=value"),
        ("a.b.c.d=1", "written as KEY=.."),
        ("seed=x", "whole number"),
    ] {
        assert!(wrong(STEADY, &[set]).contains(says), "{set}: {}", wrong(STEADY, &[set]));
    }
}

#[test]
fn credentials_are_not_written_with_a_scenario() {
    let scenario = right(STEADY, &["target.operator=secret-one", "target.tokens=[\"secret-two\"]"]);
    assert!(!serde_json::to_string(&scenario).unwrap().contains("secret"));
}
