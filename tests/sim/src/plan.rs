//! What a seed comes to: who is there, what goes wrong, and when.

use fastrand::Rng;

use crate::process::{Machine, Part};
use crate::timeline::{MS, Micros, SECOND};

/// What conversations live by, and how busy people are.
#[derive(Clone, Debug)]
pub struct Rules {
    /// See the queue's policy.
    pub release_after_ms: u64,
    /// See the queue's policy.
    pub close_after_ms: u64,
    /// So much do the walls of machines differ, at most.
    pub skew_ms: u64,
    /// A connection that breaks without a word is found out after so long, at most.
    pub silent_max: Micros,
    /// A client does something so often, about.
    pub act_every: Micros,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As kill -9; it starts again after so long.
    Kill(usize, Micros),
    /// As SIGTERM; it is started again soon after its end.
    Stop(usize),
    /// As SIGSTOP, for so long.
    Pause(usize, Micros),
    /// Does not reach the server, for so long.
    CutLine(usize, Micros),
    /// Its requests to the server arrive later, for so long, by so much.
    DelayLine(usize, Micros, Micros),
    /// The server stands still, for so long.
    FreezeRedis(Micros),
    /// The server is killed, and starts again after so long.
    KillRedis(Micros),
    /// Calls take longer, and some answers are lost, for so long.
    Disturb(Micros, Micros, u64),
    /// So many parcels to some process are lost.
    LoseParcels(usize, usize),
    /// Connections of this share of a thousand clients break.
    CutClients(u64),
    /// The wall of a machine is set, by so many milliseconds: whoever starts there next reads it.
    SetWall(usize, i64),
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Makes it.
    pub seed: u64,
    /// The processes.
    pub parts: Vec<Part>,
    /// Of each process.
    pub machines: Vec<Machine>,
    /// Logical shards.
    pub shards: u16,
    /// What conversations live by.
    pub rules: Rules,
    /// Customers of the first organisation.
    pub customers: usize,
    /// Agents of the first organisation.
    pub agents: usize,
    /// People do things for so long.
    pub busy_for: Micros,
    /// What goes wrong, when after they began.
    pub faults: Vec<(Micros, Fault)>,
    /// The server loses what it confirmed last when it is killed.
    pub loses_tail: bool,
    /// Boxes take little.
    pub small_boxes: bool,
}

impl Plan {
    /// What this seed comes to.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed ^ 0x6a6f_6e6f);
        use Part::{Alone, Both, Engine, Gateway};
        let parts: &[Part] = match chance.u32(0..20) {
            0..=1 => &[Alone],
            2..=7 => &[Both, Both],
            8..=13 => &[Engine, Engine, Gateway],
            14..=16 => &[Both, Engine, Gateway],
            17..=18 => &[Engine, Engine, Gateway, Gateway],
            _ => &[Both, Both, Both],
        };
        // In one of many, the times of the specification in full length.
        let is_full = chance.u32(0..64) == 0;
        let differ = chance.u32(0..8) == 0;
        let (wrong, drift) = if differ { (chance.i64(1..1_500), chance.i64(1..300)) } else { (0, 0) };
        let machine = |chance: &mut Rng| Machine { wrong_by_ms: chance.i64(-wrong..=wrong), drift: chance.i64(-drift..=drift) };
        let machines: Vec<Machine> = parts.iter().map(|_| machine(&mut chance)).collect();
        let skew_ms = if differ { 2 * wrong.unsigned_abs() + 1_000 } else { 0 };
        let rules = if is_full {
            Rules { release_after_ms: 300_000, close_after_ms: 900_000, skew_ms, silent_max: 25 * SECOND, act_every: 40 * SECOND }
        } else {
            Rules { release_after_ms: 4_000, close_after_ms: 9_000, skew_ms, silent_max: 5 * SECOND, act_every: 400 * MS }
        };
        let busy_for = if is_full { 1_200 * SECOND } else { SECOND * chance.u64(3..9) };
        let count = if chance.u32(0..12) == 0 { 0 } else { chance.usize(1..5) };
        let is_alone = parts == [Alone];
        let mut faults: Vec<_> = (0..count)
            .map(|_| (chance.u64(0..busy_for), fault(&mut chance, parts.len(), is_alone)))
            .filter(|(_, fault)| differ || !matches!(fault, Fault::SetWall(..)))
            .collect();
        faults.sort_by_key(|(at, _)| *at);
        // As at level `second`, or with a replica that is behind.
        let loses_tail =
            !is_alone && faults.iter().any(|(_, fault)| matches!(fault, Fault::KillRedis(_))) && chance.u32(0..4) == 0;
        Self {
            seed,
            parts: parts.to_vec(),
            machines,
            shards: chance.u16(2..7),
            rules,
            customers: chance.usize(1..4),
            agents: chance.usize(1..4),
            busy_for,
            faults,
            loses_tail,
            small_boxes: chance.u32(0..16) == 0,
        }
    }
}

fn fault(chance: &mut Rng, processes: usize, is_alone: bool) -> Fault {
    let process = chance.usize(0..processes);
    // Mostly short, sometimes longer than anybody waits.
    let long = |chance: &mut Rng| {
        if chance.u32(0..4) == 0 { chance.u64(2 * SECOND..8 * SECOND) } else { chance.u64(50 * MS..2 * SECOND) }
    };
    match chance.u32(0..if is_alone { 62 } else { 100 }) {
        0..=19 => Fault::Kill(process, long(chance)),
        20..=27 => Fault::Stop(process),
        28..=35 => Fault::CutClients(chance.u64(200..1_000)),
        36..=43 => Fault::Disturb(long(chance), chance.u64(0..60 * MS), chance.u64(0..300)),
        44..=50 => Fault::CutLine(process, long(chance)),
        51..=57 => Fault::FreezeRedis(long(chance)),
        58..=61 => Fault::SetWall(process, chance.i64(-1_500..1_500)),
        62..=77 => Fault::Pause(process, long(chance)),
        78..=83 => Fault::KillRedis(long(chance)),
        84..=91 => Fault::LoseParcels(process, chance.usize(1..6)),
        _ => Fault::DelayLine(process, long(chance), chance.u64(SECOND..6 * SECOND)),
    }
}
