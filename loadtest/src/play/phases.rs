//! The course of a run: the population arrives, phases follow one another, everything under way comes to its end.

use super::Failure;
use super::desk::Desks;
use super::generator::{Conversation, Due, Generator, Stage};
use super::link::{Outcome, Report};
use super::users::User;
use crate::clock::{MILLISECOND_NS, SECOND_NS, cpu_ns, now_ns};
use crate::dice::Dice;
use crate::measure::{Metric, process};
use crate::scenario::{Phase, PhaseKind};
use crate::schedule::Arrivals;
use crate::target::{Target, Who};

/// Bits of a number of a conversation or customer that count within a process.
pub(super) const WORKER_SHIFT: u32 = 20;
/// See [`WORKER_SHIFT`].
pub(super) const PER_WORKER_MAX: u64 = crate::scenario::PER_WORKER_MAX;
/// How often it is looked whether everybody is there, or everything has come.
const LOOK_NS: u64 = 100 * MILLISECOND_NS;
/// How long the population may make no progress in arriving.
const ARRIVE_NS: u64 = 30 * SECOND_NS;
/// How long conversations may take to be closed at the end; nothing depends on it but tidiness.
const TIDY_NS: u64 = 10 * SECOND_NS;

/// How far the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Arriving,
    Ready,
    Phases,
    Draining,
    Tidying,
    Over,
}

/// See [`Step`].
#[derive(Debug, Default)]
pub(super) struct Progress {
    step: Step,
    /// Users that have signed in at least once.
    pub ready: u32,
    /// Conversations of the population that were served.
    pub served: u32,
    /// Somebody's credentials were refused.
    pub locked_out: bool,
    /// Users of the population.
    expected: u32,
    /// When the population last made progress, and how far it was.
    moved: (u64, u32),
    /// When the step that is going on must be over.
    deadline_ns: u64,
    phase_began: (u64, u64),
    cpu_before: u64,
    rss_before: u64,
    rss_after: u64,
    pub messages: Option<Arrivals>,
    pub visitors: Option<Arrivals>,
}

impl Progress {
    pub fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// Nothing that comes now counts any more.
    pub fn is_tidying(&self) -> bool {
        matches!(self.step, Step::Tidying | Step::Over)
    }

    /// Nothing new is begun.
    pub fn is_ending(&self) -> bool {
        matches!(self.step, Step::Draining | Step::Tidying | Step::Over)
    }
}

/// This process's share of a number.
pub(crate) fn share(of: u64, worker: u32, workers: u32) -> u64 {
    let (worker, workers) = (u64::from(worker), u64::from(workers));
    of / workers + u64::from(worker < of % workers)
}

impl<T: Target> Generator<T> {
    /// Makes the population and lets it arrive.
    pub fn populate(&mut self) {
        self.progress.rss_before = process::own_rss_bytes();
        let (worker, workers) = (self.plan.worker, self.plan.workers);
        let people = self.plan.scenario.population;
        let agents = self.plan.agents.1;
        let conversations = share(people.conversations, worker, workers) as u32;
        let idle = share(people.idle, worker, workers) as u32;
        let slow = share(people.slow_readers, worker, workers) as u32;
        let first = self.plan.agents.0;
        self.users.extend((0..agents).map(|agent| User::new(Who::Agent(first + agent))));
        let per_agent = conversations.div_ceil(agents.max(1));
        self.desks = Desks::new(agents, per_agent + self.plan.scenario.visits.capacity as u32);
        self.lasting = conversations;
        for number in 0..conversations + idle {
            let index = self.users.len() as u32;
            let mut user = User::new(Who::Customer((worker << WORKER_SHIFT) + index));
            if number < conversations {
                user.conversation = Some(number);
                user.slow = number < slow;
                let paired = (agents > 0 && !self.reach.queue).then(|| number % agents);
                self.conversations.push(Conversation::new(index, paired, user.slow, None));
            }
            self.users.push(user);
        }
        self.progress.expected = self.users.len() as u32;
        let rate = self.plan.scenario.phases[0].connections_per_second / f64::from(workers);
        let begin = now_ns();
        self.progress.phase_began = (begin, cpu_ns());
        self.progress.moved = (begin, 0);
        for index in 0..self.users.len() as u32 {
            let at = begin + (f64::from(index) / rate * SECOND_NS as f64) as u64;
            self.expect_user(index, at);
        }
        self.later(begin, Due::Look);
    }

    /// Looks whether the step that is going on is over.
    pub fn look(&mut self, now: u64) -> Result<(), Failure> {
        let now = now.max(now_ns());
        match self.progress.step {
            Step::Arriving => self.look_at_arrivals(now)?,
            Step::Draining => {
                if self.conversations.iter().all(|conversation| conversation.ledger.is_settled())
                    || now > self.progress.deadline_ns
                {
                    self.tidy(now);
                }
            }
            Step::Tidying => {
                let closed = |conversation: &Conversation| matches!(conversation.stage, Stage::Ended | Stage::Absent);
                if self.conversations.iter().all(closed) || now > self.progress.deadline_ns {
                    self.progress.step = Step::Over;
                }
            }
            Step::Ready | Step::Phases | Step::Over => return Ok(()),
        }
        self.later(now + LOOK_NS, Due::Look);
        Ok(())
    }

    fn look_at_arrivals(&mut self, now: u64) -> Result<(), Failure> {
        let (ready, served) = (self.progress.ready, self.progress.served);
        if ready >= self.progress.expected && served >= self.lasting {
            self.progress.step = Step::Ready;
            self.end_of_phase(now);
            self.progress.rss_after = process::own_rss_bytes();
            self.say_to_leader(Report::Arrived);
            return Ok(());
        }
        if self.progress.moved.1 != ready + served {
            self.progress.moved = (now, ready + served);
        }
        let of = u64::from(self.progress.expected);
        let conversations = u64::from(self.lasting);
        self.say_to_leader(Report::Arriving { ready: u64::from(ready), of, served: u64::from(served), conversations });
        let planned_ns = of as f64 / self.plan.scenario.phases[0].connections_per_second * SECOND_NS as f64;
        let stuck = now > self.progress.moved.0 + ARRIVE_NS + if ready == 0 { 0 } else { planned_ns as u64 / of.max(1) };
        if stuck || (self.progress.locked_out && ready == 0) {
            let most = self.recorder.endings.iter().max_by_key(|(_, count)| **count);
            let why = most.map_or("no answer", |(why, _)| why.as_str());
            let words = format!("{ready} of {of} users are there, {served} of {conversations} conversations served; {why}");
            return Err(if ready == 0 { Failure::unreachable(words) } else { Failure::other(words) });
        }
        Ok(())
    }

    fn say_to_leader(&self, report: Report) {
        // Without a leader the figures have no use, and the process is ended anyway.
        let _ = self.reports.send(report);
    }

    /// The phases begin at that time.
    pub fn go(&mut self, at_ns: u64) {
        if self.progress.step == Step::Ready {
            self.progress.step = Step::Phases;
            self.recorder.interval = super::link::Interval::default();
            self.progress.cpu_before = cpu_ns();
            self.later(at_ns, Due::Phase);
            self.later(at_ns + SECOND_NS, Due::Interval);
        }
    }

    fn end_of_phase(&mut self, now: u64) {
        let (began, cpu) = self.progress.phase_began;
        self.recorder.lasted(self.recorder.phase, now.saturating_sub(began), cpu_ns() - cpu);
    }

    pub fn next_phase(&mut self, at: u64) {
        if self.recorder.phase > 0 {
            // Those of the last moment; if there are more, the generator is behind.
            if self.arrive() {
                self.give_up_arrivals();
            }
            self.end_of_phase(at);
        }
        let next = usize::from(self.recorder.phase) + 1;
        let Some(phase) = self.plan.scenario.phases.get(next).cloned() else {
            self.progress.messages = None;
            self.progress.visitors = None;
            self.progress.step = Step::Draining;
            self.progress.deadline_ns = at + (self.plan.scenario.patience_s * SECOND_NS as f64) as u64;
            self.later(at, Due::Look);
            self.slow_readers_catch_up();
            return;
        };
        self.recorder.phase = next as u16;
        self.progress.phase_began = (at, cpu_ns());
        self.progress.messages = Some(self.arrivals(phase.messages_per_second, at, &phase, 1));
        self.progress.visitors = Some(self.arrivals(phase.visitors_per_second, at, &phase, 2));
        if phase.kind == PhaseKind::ReconnectStorm {
            self.storm(at, &phase);
        }
        self.later(at + (phase.seconds * SECOND_NS as f64) as u64, Due::Phase);
    }

    /// Counts what should have arrived and was not let in time: the rate that the scenario asked for was not kept.
    fn give_up_arrivals(&mut self) {
        let count = |arrivals: &mut Option<Arrivals>| std::iter::from_fn(|| arrivals.as_mut()?.take(u64::MAX)).count() as u64;
        let (messages, visitors) = (count(&mut self.progress.messages), count(&mut self.progress.visitors));
        let numbers = &mut self.recorder.now().numbers;
        numbers.intended += messages;
        numbers.too_late += messages + visitors;
    }

    /// Whether everything has come can only be said once it has been read.
    fn slow_readers_catch_up(&mut self) {
        for index in 0..self.users.len() as u32 {
            if std::mem::take(&mut self.users[index as usize].slow) {
                self.read(index, None);
            }
        }
    }

    fn arrivals(&mut self, rates: (f64, f64), at: u64, phase: &Phase, stream: u64) -> Arrivals {
        let scenario = &self.plan.scenario;
        let of = (u64::from(self.recorder.phase) << 8) | (stream << 4) | u64::from(self.plan.worker) << 32;
        let dice = scenario.messages.poisson.then(|| Dice::new(scenario.seed, of));
        let part = (u64::from(self.plan.worker), u64::from(self.plan.workers));
        Arrivals::new(rates, (at, phase.seconds), dice, part)
    }

    fn storm(&mut self, at: u64, phase: &Phase) {
        let within_ns = phase.within_ms * MILLISECOND_NS as f64;
        for index in 0..self.users.len() as u32 {
            let user = &self.users[index as usize];
            let there = matches!(user.who, Who::Customer(_)) && user.ready;
            if there && self.dice.unit() * 100.0 < phase.percent {
                let after = (self.dice.unit() * within_ns) as u64;
                self.later(at + after, Due::Cut(index));
            }
        }
    }

    pub fn interval(&mut self, at: u64) {
        let mut interval = self.recorder.next_interval();
        interval.connected = self.users.iter().filter(|user| user.ready).count() as u64;
        interval.waiting = self.desks.waiting;
        interval.served = self.conversations.iter().filter(|conversation| conversation.stage == Stage::Served).count() as u64;
        let cpu = cpu_ns();
        interval.cpu_ns = cpu - self.progress.cpu_before;
        self.progress.cpu_before = cpu;
        self.say_to_leader(Report::Interval(Box::new(interval)));
        if matches!(self.progress.step, Step::Phases | Step::Draining) {
            self.later(at + SECOND_NS, Due::Interval);
        }
    }

    /// What has not come by now does not come; then conversations are closed, so that the next run finds none.
    fn tidy(&mut self, now: u64) {
        for (index, conversation) in self.conversations.iter().enumerate() {
            let open = conversation.ledger.open();
            if open.lost + open.unanswered > 0 {
                self.recorder.case(|| format!("conversation {index}: {}", conversation.ledger.left_open()));
            }
            self.recorder.wrong.lost += open.lost;
            self.recorder.wrong.unanswered += open.unanswered;
            self.recorder.wrong.unsent += open.unsent;
            if conversation.begun_ns != 0 {
                self.recorder.time(Metric::Wait, conversation.phase, now.saturating_sub(conversation.begun_ns));
            }
            if conversation.slow {
                continue;
            }
            // Left out, they would make a server that dies look fast: each has taken this long at least.
            for late in conversation.ledger.late(now) {
                self.recorder.too_late(late);
            }
        }
        self.count_those_away(now);
        self.progress.step = Step::Tidying;
        self.progress.deadline_ns = now + TIDY_NS;
        for index in 0..self.conversations.len() as u32 {
            match self.conversations[index as usize].stage {
                Stage::Served | Stage::Waiting | Stage::HandingOver => self.end_by_customer(index),
                Stage::Absent | Stage::Beginning | Stage::Ended => {}
            }
        }
    }

    fn end_by_customer(&mut self, index: u32) {
        let customer = self.conversations[index as usize].customer;
        self.act(customer, crate::target::Action::End { conversation: self.number_of(index) });
    }

    /// Hands over what was found out.
    pub fn finish(self) {
        let rss_bytes = (self.progress.rss_before, self.progress.rss_after);
        let users = u64::from(self.progress.expected);
        let reports = self.reports.clone();
        let (phases, wrong, endings, cases) = self.recorder.outcomes();
        let outcome = Outcome { phases, wrong, endings, cases, rss_bytes, users };
        // As in `say_to_leader`.
        let _ = reports.send(Report::Done(Box::new(outcome)));
    }
}
