//! Places in the code where a test may end the process, and rules that a test may switch off.
//!
//! Tests that kill at random moments seldom meet the one between two lines, and a test that has never failed has not shown that
//! it can. So the moments have names ([`KillPoint`]), and so have rules whose absence tests must notice ([`Rule`]).
//!
//! Without the feature `armed`, which only tests turn on, [`pass`] is empty and [`is_broken`] is `false`: nothing of either is
//! left in the program. With it, the program dies at the point that `arm` was given; and simulators, which run several
//! processes in one thread, hear of every pass through `on_pass` instead.

mod point;
mod rule;

#[cfg(feature = "armed")]
mod armed;
#[cfg(not(feature = "armed"))]
mod unarmed;

#[cfg(feature = "armed")]
pub use armed::{Aim, Hook, NoSuchPoint, arm, break_rule, is_broken, on_pass, pass};
pub use point::KillPoint;
pub use rule::Rule;
#[cfg(not(feature = "armed"))]
pub use unarmed::{is_broken, pass};
