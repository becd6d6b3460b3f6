//! Points and rules as tests have them: the process dies where it was told to.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::{KillPoint, Rule};

/// Where the process is to die: `name` or `name:n`, at the n-th pass of that point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    point: KillPoint,
    /// Counted from 1.
    pass: u32,
}

/// The text names no point, or no pass of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchPoint(String);

impl fmt::Display for NoSuchPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no kill point: wanted is name[:n], with n from 1 and the name one of", self.0)?;
        KillPoint::ALL.iter().try_for_each(|point| write!(f, " {point}"))
    }
}

impl std::error::Error for NoSuchPoint {}

impl FromStr for Aim {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        let (name, pass) = text.split_once(':').unwrap_or((text, "1"));
        let aim = KillPoint::parse(name).zip(pass.parse().ok().filter(|pass| *pass > 0));
        aim.map(|(point, pass)| Self { point, pass }).ok_or_else(|| NoSuchPoint(text.to_owned()))
    }
}

static AIM: OnceLock<Aim> = OnceLock::new();
static PASSES: AtomicU32 = AtomicU32::new(0);

/// What is called with every point that its thread passes.
pub type Hook = Box<dyn FnMut(KillPoint)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// From now on the process dies there, whichever thread comes by. Only the first call counts.
pub fn arm(aim: Aim) {
    // A second aim would make the count of passes meaningless.
    let _ = AIM.set(aim);
}

/// The hook of this thread, which is called instead of dying. It must not do anything that passes a point.
pub fn on_pass(hook: Option<Hook>) {
    HOOK.with_borrow_mut(|place| *place = hook);
}

/// A place where a test may end the process.
pub fn pass(point: KillPoint) {
    let is_hooked = HOOK.with_borrow_mut(|hook| hook.as_mut().map(|hook| hook(point)).is_some());
    if !is_hooked && AIM.get().is_some_and(|aim| aim.point == point && counts_up_to(aim.pass)) {
        die();
    }
}

fn counts_up_to(pass: u32) -> bool {
    PASSES.fetch_add(1, Ordering::Relaxed) + 1 == pass
}

/// As `kill -9` would end it: no destructor runs, nothing is flushed, no core is written.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // Nobody survives that signal.
    std::process::abort()
}

/// Switches a rule off for this thread, or all of them on again.
pub fn break_rule(rule: Option<Rule>) {
    BROKEN.set(rule);
}

/// Has a test switched this rule off?
#[must_use]
pub fn is_broken(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn an_aim_names_a_point_and_a_pass() {
        let aim = |text: &str| text.parse::<Aim>();
        assert_eq!(aim("step-decided"), Ok(Aim { point: KillPoint::StepDecided, pass: 1 }));
        assert_eq!(aim("step-decided:12"), Ok(Aim { point: KillPoint::StepDecided, pass: 12 }));
        for wrong in ["", "step", "step-decided:", "step-decided:0", "step-decided:-1", "step-decided:1:1", "StepDecided"] {
            assert!(aim(wrong).is_err(), "{wrong}");
        }
        assert!(aim("step").is_err_and(|error| error.to_string().contains("step-decided")), "the error says what there is");
    }

    #[test]
    fn a_hook_hears_of_its_own_thread_and_nobody_dies() {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let notes = Rc::clone(&heard);
        on_pass(Some(Box::new(move |point| notes.borrow_mut().push(point))));
        pass(KillPoint::StepDecided);
        std::thread::spawn(|| pass(KillPoint::LetterTaken)).join().expect("nobody aims at it");
        pass(KillPoint::LetterTaken);
        on_pass(None);
        pass(KillPoint::StepDecided);
        assert_eq!(*heard.borrow(), [KillPoint::StepDecided, KillPoint::LetterTaken]);
    }

    #[test]
    fn a_rule_is_broken_for_one_thread_until_it_is_mended() {
        let broken = || Rule::ALL.iter().copied().filter(|rule| is_broken(*rule)).collect::<Vec<_>>();
        assert_eq!(broken(), []);
        for rule in Rule::ALL {
            break_rule(Some(*rule));
            assert_eq!(broken(), [*rule]);
            assert!(!std::thread::spawn(|| is_broken(*rule)).join().expect("a look is harmless"));
        }
        break_rule(None);
        assert_eq!(broken(), []);
    }
}
