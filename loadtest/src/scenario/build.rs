//! Makes a scenario of checked values: defaults, and what no single key can tell.

use std::collections::BTreeMap;

use super::document::{Document, Problem, Value, Values};
use super::keys::{self, Kind, NUMBERS, PHASE_KINDS, Section, TIMES};
use super::{Bound, Honesty, Messages, Phase, PhaseKind, Population, Scenario, Slo, TargetKeys, Texts, Visits};

/// Conversations that one agent of Jono may hold.
const HELD_PER_AGENT_MAX: u64 = 200;
/// Conversations of the population for each agent, where their number is not given.
const CONVERSATIONS_PER_AGENT: u64 = 50;

/// One table with the defaults of its keys.
struct Table<'a>(&'static Section, Option<&'a Values>);

impl Table<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        let given = self.1.and_then(|values| values.get(name)).map(|(value, _)| value.clone());
        given.or_else(|| {
            let key = self.0.keys.iter().find(|key| key.name == name).expect("only keys of the table are asked for");
            match key.kind {
                Kind::Count(..) | Kind::Real(..) => key.default.parse().ok().map(Value::Number),
                Kind::Switch => key.default.parse().ok().map(Value::Switch),
                Kind::Text | Kind::Choice(_) => {
                    (!key.default.is_empty()).then(|| Value::Text(key.default.trim_matches('"').to_owned()))
                }
                Kind::Texts | Kind::Free => None,
            }
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    fn real(&self, name: &str) -> f64 {
        self.number(name).unwrap_or_default()
    }

    fn count(&self, name: &str) -> u64 {
        self.real(name) as u64
    }

    fn text(&self, name: &str) -> String {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }

    fn switch(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Switch(true)))
    }

    fn texts(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Texts(list)) => list,
            _ => Vec::new(),
        }
    }

    fn free(&self, name: &str) -> BTreeMap<String, String> {
        match self.value(name) {
            Some(Value::Free(table)) => table,
            _ => BTreeMap::new(),
        }
    }
}

/// Makes a scenario, and keeps what is wrong with it.
#[derive(Default)]
pub(super) struct Builder {
    pub problems: Vec<Problem>,
}

impl Builder {
    fn wrong(&mut self, line: usize, key: &str, why: impl Into<String>) {
        self.problems.push(Problem { line, key: key.to_owned(), why: why.into() });
    }

    /// Everything with its defaults; what is wrong goes to `problems`.
    pub fn scenario(&mut self, document: &Document, file_name: &str) -> Scenario {
        let table = |name: &str| {
            let section = keys::section(name).expect("every table asked for is listed");
            Table(section, document.single.get(name))
        };
        let (top, target, people, visits) = (table(""), table("target"), table("population"), table("visits"));
        let (messages, texts, honesty) = (table("messages"), table("texts"), table("honesty"));
        let name = Some(top.text("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| file_name.to_owned());
        let mut scenario = Scenario {
            name: name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect(),
            question: top.text("question"),
            seed: top.count("seed"),
            patience_s: top.real("patience_s"),
            target: TargetKeys {
                name: target.text("name"),
                url: target.text("url"),
                server: target.text("server"),
                operator: target.text("operator"),
                site: target.text("site"),
                queue: target.text("queue"),
                tokens: target.texts("tokens"),
                durability: target.text("durability"),
                redis: target.text("redis"),
                options: target.free("options"),
            },
            population: Population {
                idle: people.count("idle"),
                conversations: people.count("conversations"),
                agents: people.count("agents"),
                slow_readers: people.count("slow_readers"),
                slow_bytes_per_second: people.count("slow_bytes_per_second"),
                source_addresses: people.count("source_addresses"),
            },
            messages: Messages {
                poisson: messages.text("arrivals") == "poisson",
                agent_percent: messages.real("agent_percent"),
                hot_percent: messages.real("hot_percent"),
                note_percent: messages.real("note_percent"),
            },
            visits: Visits {
                turns: visits.count("turns"),
                think_ms: visits.real("think_ms"),
                pick_ms: visits.real("pick_ms"),
                capacity: visits.count("capacity"),
                typing: visits.switch("typing"),
                hand_over_percent: visits.real("hand_over_percent"),
                closed_by_agent: visits.text("closed_by") == "agent",
            },
            texts: Texts {
                bytes: texts.count("bytes"),
                corpus: texts.text("corpus"),
                recorded_timing: texts.text("timing") == "corpus",
                speed: texts.real("speed"),
            },
            honesty: Honesty {
                send_lag_p99_ms: honesty.real("send_lag_p99_ms"),
                cpu_percent: honesty.real("cpu_percent"),
                clock_ms: honesty.real("clock_ms"),
            },
            phases: Vec::new(),
            slos: Vec::new(),
        };
        for (values, line) in document.many.get("phase").into_iter().flatten() {
            let phase = self.phase(values, *line, people.real("connections_per_second"));
            scenario.phases.extend(phase);
        }
        if scenario.phases.first().is_none_or(|phase| phase.kind != PhaseKind::Connect) {
            scenario.phases.insert(0, connect(people.real("connections_per_second")));
        }
        for (values, line) in document.many.get("slo").into_iter().flatten() {
            let slo = self.slo(values, *line, &scenario.phases);
            scenario.slos.extend(slo);
        }
        scenario.population.agents = agents(&scenario);
        scenario
    }

    fn phase(&mut self, values: &Values, line: usize, connections_per_second: f64) -> Option<Phase> {
        let table = Table(keys::section("phase").expect("it is listed"), Some(values));
        let word = table.text("kind");
        let kind = match word.as_str() {
            "connect" => PhaseKind::Connect,
            "warm_up" => PhaseKind::WarmUp,
            "ramp" => PhaseKind::Ramp,
            "steady" => PhaseKind::Steady,
            "spike" => PhaseKind::Spike,
            "soak" => PhaseKind::Soak,
            "reconnect_storm" => PhaseKind::ReconnectStorm,
            _ => {
                self.wrong(line, "phase.kind", format!("is missing: one of {}", PHASE_KINDS.join(", ")));
                return None;
            }
        };
        for (key, of) in [("connections_per_second", "connect"), ("percent", "reconnect_storm"), ("within_ms", "reconnect_storm")]
        {
            if let Some((_, line)) = values.get(key)
                && word != of
            {
                self.wrong(
                    *line,
                    &format!("phase.{key}"),
                    format!("means something only in a phase of the kind {of}, not in {word}"),
                );
            }
        }
        let rates = |from: &str, to: &str| {
            let first = table.real(from);
            (first, table.number(to).unwrap_or(first))
        };
        Some(Phase {
            kind,
            name: Some(table.text("name")).filter(|name| !name.is_empty()).unwrap_or(word),
            seconds: if kind == PhaseKind::Connect { 0.0 } else { table.real("seconds") },
            messages_per_second: rates("messages_per_second", "to_messages_per_second"),
            visitors_per_second: rates("visitors_per_second", "to_visitors_per_second"),
            connections_per_second: table.number("connections_per_second").unwrap_or(connections_per_second),
            percent: table.real("percent"),
            within_ms: table.real("within_ms"),
        })
    }

    fn slo(&mut self, values: &Values, line: usize, phases: &[Phase]) -> Option<Slo> {
        let table = Table(keys::section("slo").expect("it is listed"), Some(values));
        let metric = table.text("metric");
        let (max_ms, max, min) = (table.number("max_ms"), table.number("max"), table.number("min"));
        let bound = match (TIMES.contains(&metric.as_str()), NUMBERS.contains(&metric.as_str()), max_ms, max, min) {
            (true, _, Some(ms), None, None) => Bound::TimeAtMostMs(table.real("percentile"), ms),
            (_, true, None, Some(most), None) => Bound::AtMost(most),
            (_, true, None, None, Some(least)) => Bound::AtLeast(least),
            (false, false, ..) => {
                let known = TIMES.iter().chain(NUMBERS);
                let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(known, &metric)).unwrap_or(&"delivered");
                self.wrong(line, "slo.metric", format!("no such figure: {metric:?}; did you mean {nearest:?}?"));
                return None;
            }
            (true, ..) => {
                self.wrong(line, "slo", format!("{metric} is a time: give max_ms, and percentile if it is not 99"));
                return None;
            }
            _ => {
                self.wrong(line, "slo", format!("{metric} is a number: give one of max and min"));
                return None;
            }
        };
        let named = table.texts("phases");
        for name in &named {
            if !phases.iter().any(|phase| phase.name == *name) {
                let all: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
                self.wrong(line, "slo.phases", format!("there is no phase {name:?}; there are {}", all.join(", ")));
            }
        }
        Some(Slo { metric, bound, phases: named })
    }

    /// What no single key can tell.
    pub fn consistent(&mut self, scenario: &Scenario) {
        let people = &scenario.population;
        let visits = scenario.phases.iter().any(|phase| phase.visitors_per_second != (0.0, 0.0));
        let messages = scenario.phases.iter().any(|phase| phase.messages_per_second != (0.0, 0.0));
        if scenario.phases.iter().skip(1).any(|phase| phase.kind == PhaseKind::Connect) {
            self.wrong(0, "phase.kind", "connect can only be the first phase");
        }
        for (index, phase) in scenario.phases.iter().enumerate() {
            if scenario.phases[..index].iter().any(|before| before.name == phase.name) {
                self.wrong(0, "phase.name", format!("two phases are called {:?}: give one of them a name", phase.name));
            }
        }
        if messages && people.conversations == 0 {
            self.wrong(0, "population.conversations", "messages_per_second needs conversations to send them in");
        }
        if people.slow_readers > people.conversations {
            self.wrong(0, "population.slow_readers", "they are some of the visitors in conversations: at most as many");
        }
        if scenario.target.name == "jono" && people.conversations > people.agents * HELD_PER_AGENT_MAX {
            let need = people.conversations.div_ceil(HELD_PER_AGENT_MAX);
            self.wrong(
                0,
                "population.agents",
                format!("an agent holds at most {HELD_PER_AGENT_MAX} conversations: at least {need}"),
            );
        }
        if scenario.texts.recorded_timing && scenario.texts.corpus.is_empty() {
            self.wrong(0, "texts.timing", "\"corpus\" needs the file of texts.corpus");
        }
        if visits && scenario.target.name != "jono" {
            self.wrong(0, "phase.visitors_per_second", format!("the target {:?} has no queue", scenario.target.name));
        }
        let storm = scenario.phases.iter().any(|phase| phase.kind == PhaseKind::ReconnectStorm);
        if storm && scenario.target.name != "jono" {
            self.wrong(
                0,
                "phase.kind",
                format!("a reconnect_storm needs a target that resumes, and {:?} does not", scenario.target.name),
            );
        }
        if !scenario.target.url.starts_with("ws://") {
            self.wrong(0, "target.url", "only ws:// can be used");
        }
    }
}

fn connect(connections_per_second: f64) -> Phase {
    Phase {
        kind: PhaseKind::Connect,
        name: "connect".to_owned(),
        seconds: 0.0,
        messages_per_second: (0.0, 0.0),
        visitors_per_second: (0.0, 0.0),
        connections_per_second,
        percent: 0.0,
        within_ms: 0.0,
    }
}

/// How many agents there are: as the scenario says, or as many as it needs.
fn agents(scenario: &Scenario) -> u64 {
    let people = &scenario.population;
    let visits = scenario.phases.iter().any(|phase| phase.visitors_per_second != (0.0, 0.0));
    if people.agents > 0 || scenario.target.name == "echo" || (people.conversations == 0 && !visits) {
        return people.agents;
    }
    people.conversations.div_ceil(CONVERSATIONS_PER_AGENT).max(if visits { 10 } else { 1 })
}
