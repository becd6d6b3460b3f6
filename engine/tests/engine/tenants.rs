//! Nothing of one organisation is reachable with a credential of another (guarantee G11): the answer to a foreign id is the
//! answer to an unknown one.

use jono_domain::account::{Role, Who};
use jono_domain::conversation::Command;
use jono_domain::id::{AgentId, OrganisationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::organisation::{self, QueueSettings};
use jono_domain::reply::Refusal;
use jono_domain::{agent, customer, queue};
use jono_engine::request::{Outcome, Query, View};

use crate::kit::*;

const OTHERS: OrganisationId = OrganisationId::from_bits(2);
const THEIRS: QueueId = QueueId::from_bits(111);
const SPY: AgentId = AgentId::from_bits(121);

#[test]
fn foreign_ids_are_unknown_ids() {
    run(async {
        let world = World::begin().await;
        world.create(OTHERS, "Others").await;
        world.put_queue(OTHERS, THEIRS, "Theirs", QueueSettings::default()).await;
        world.put_agent(OTHERS, SPY, Role::Operator, &[THEIRS]).await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;

        let spies = [Who::Agent(OTHERS, SPY), Who::Customer(OTHERS, CID), Who::Customer(OTHERS, ANN)];
        // The agent of these, with the credential of those, is nobody either.
        for who in spies.into_iter().chain([Who::Agent(OTHERS, BOB)]) {
            for order in [
                to(TALK, Command::Describe),
                message(TALK, "x"),
                claim(TALK),
                close(TALK),
                to(TALK, Command::AddNote { text: "x".into() }),
                to(TALK, Command::Assign { claim: None, to: SPY, accepted: false }),
                to(TALK, Command::Transfer { claim: None, to: THEIRS, note: None, admitted: false }),
                to(TALK, Command::BlockCustomer { duration_ms: None }),
                to_queue(SALES, queue::Command::Describe),
                to_queue(SALES, queue::Command::List { after: None, limit: 10 }),
                pick(SALES),
                to_queue(SALES, queue::Command::SetOpen { open: false }),
                to_agent(BOB, agent::Command::SetStatus { status: agent::Status::Online }),
                Order::Customer(ANN, Box::new(customer::Command::Describe)),
                Order::Organisation(ORGANISATION, Box::new(organisation::Command::ListPresence)),
                change(ORGANISATION, organisation::Change::Rename { name: "Mine".into() }),
            ] {
                let text = format!("{who:?}: {order:?}");
                assert_eq!(world.ask(who, order).await, Err(Refusal::NotFound), "{text}");
            }
            let session = world.session(who);
            for what in [
                Address::Conversation(TALK),
                Address::Queue(SALES),
                Address::Agent(BOB),
                Address::Customer(ANN),
                Address::Organisation(ORGANISATION),
            ] {
                assert_eq!(session.follow(what, 0).await, Err(Refusal::NotFound), "{who:?}: {what:?}");
            }
            let history = Query::History { conversation: TALK, forward: true, from: 0, limit: 10 };
            assert_eq!(world.query(who, history).await, Err(Refusal::NotFound));
        }
        for view in [View::Open, View::Mine, View::Closed] {
            let list = |queue| Query::List { view, queue, cursor: None, limit: 10 };
            let rows = world.query(Who::Agent(OTHERS, SPY), list(None)).await;
            assert!(matches!(&rows, Ok(Outcome::Rows { rows, .. }) if rows.is_empty()), "{rows:?}");
            if view != View::Mine {
                assert_eq!(world.query(Who::Agent(OTHERS, SPY), list(Some(SALES))).await, Err(Refusal::NotFound));
            }
        }
        let search = |queue| Query::Search { text: "hello".into(), queue, from: None, to: None, cursor: None, limit: 10 };
        let found = world.query(Who::Agent(OTHERS, SPY), search(None)).await;
        assert!(matches!(&found, Ok(Outcome::Found { hits, .. }) if hits.is_empty()), "{found:?}");
        assert_eq!(world.query(Who::Agent(OTHERS, SPY), search(Some(SALES))).await, Err(Refusal::NotFound));
        // A conversation cannot be begun in a queue of others.
        assert_eq!(world.refused(Who::Customer(OTHERS, CID), start(CID, talk(2), SALES, "x")).await, Refusal::NotFound);
        assert_eq!(world.conversation(TALK).await.head, 4);
    });
}
