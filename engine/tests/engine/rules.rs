//! Rules that a test may switch off are in force where they are looked up: without them, what they promise is not so.

use jono_domain::message::Order;
use jono_points::{Rule, break_rule};

use crate::kit::*;

/// Called on the arbiter's thread before every request.
fn forgets_answers(_: &Order) -> bool {
    break_rule(Some(Rule::AnswersAreRemembered));
    false
}

async fn messages_after_a_repeat(panic_if: Option<fn(&Order) -> bool>) -> Vec<String> {
    let mut plan = Plan::new();
    plan.config.panic_if = panic_if;
    let world = plan.begin().await;
    world.start(ANN, TALK, SALES).await;
    for _ in 0..2 {
        world.ask_keyed(customer_of(ANN), "m1", message(TALK, "once")).await.expect("stored");
    }
    texts(&world.log(TALK).await)
}

#[test]
fn a_repeat_is_done_twice_only_where_answers_are_not_remembered() {
    run(async {
        assert_eq!(messages_after_a_repeat(None).await, ["hello", "once"]);
        assert_eq!(messages_after_a_repeat(Some(forgets_answers)).await, ["hello", "once", "once"]);
    });
}
