//! Other processes serve what a session follows: it follows again from where its client was told.

use jono_engine::delivery::Moved;

use super::*;

/// Few enough that some entities share one.
const SHARDS: u16 = 64;

fn moved(addresses: &[Address]) -> Told {
    Told::Moved(Moved::of(addresses.iter().copied(), SHARDS))
}

fn of(number: u128) -> Address {
    Address::Conversation(conversation(number))
}

/// An agent who holds conversation 4 and has its ten events.
fn ann_with_ten(world: &World) -> Peer {
    let mut peer = world.agent("Ann", &[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.sent();
    peer.asked();
    peer
}

impl Peer {
    fn moved(&mut self, addresses: &[Address]) {
        self.life.told(moved(addresses), self.now, &mut self.sink);
    }

    /// What it has asked to follow, and from where.
    fn follows(&mut self) -> Vec<(u64, Address, u64)> {
        let follow = |asked: Asked| match asked {
            Asked::Follow(follow) => {
                let (what, after) = (follow.what, follow.after);
                (Asked::Follow(follow).number(), what, after)
            }
            other => panic!("{other:?}"),
        };
        self.asked().into_iter().map(follow).collect()
    }

    fn methods(&mut self) -> Vec<String> {
        self.sent().iter().map(|sent| sent["method"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn a_conversation_is_followed_again_from_where_the_client_was_told_and_what_was_missed_is_read() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    peer.moved(&[of(4)]);
    let [(request, what, after)] = peer.follows()[..] else { panic!() };
    assert_eq!((what, after), (of(4), 10));
    // What an old owner sends late is told as before; what was told is not told again.
    peer.notice(grown(4, message(11, "x")));
    peer.notice(grown(4, message(11, "x")));
    assert_eq!(peer.events(), [11]);
    let deadlines = Deadlines { release_at: Some(NOW + 5), close_at: None };
    let shown = view(conversation(4), 13);
    let state = ConversationView { row: Row { deadlines, ..shown.row.clone() }, ..shown };
    peer.answer(request, following(Reply::Conversation(Box::new(state)), 13));
    assert_eq!(peer.methods(), ["receipt.changed", "conversation.deadline"]);
    let Asked::Query(Query::History { from: 11, forward: true, .. }, number) = peer.asked_one() else { panic!() };
    peer.answer(number, history(12..=13, 13));
    assert_eq!(peer.events(), [12, 13]);
    peer.notice(grown(4, message(14, "x")));
    assert_eq!(peer.events(), [14]);
}

#[test]
fn what_did_not_move_and_what_is_not_followed_is_left_alone() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    let others = (100..).map(of).filter(|other| {
        let moved = Moved::of([*other], SHARDS);
        let own = [of(4), Address::Agent(ann()), Address::Organisation(organisation()), Address::Queue(queue(1))];
        !own.into_iter().any(|it| moved.holds(it))
    });
    peer.moved(&others.take(5).collect::<Vec<_>>());
    assert!(peer.asked().is_empty() && peer.sent().is_empty());
}

#[test]
fn an_account_that_moved_says_what_it_was_given_meanwhile() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    peer.moved(&[Address::Agent(ann())]);
    let follows = peer.follows();
    let (request, ..) = *follows.iter().find(|(_, what, _)| *what == Address::Agent(ann())).unwrap();
    let held = [4, 5].map(|it| (conversation(it), queue(1))).to_vec();
    let state = AgentView { agent: ann(), status: jono_domain::agent::Status::Online, held, canned: Vec::new() };
    peer.answer(request, following(Reply::Agent(Box::new(state)), 0));
    // The one it did not know of: it asks whose it is, for what an account lists is a copy.
    let asked = peer.asked_one();
    let request = asked.number();
    let Asked::Send(Request { order: Order::Conversation(asked, _), .. }) = asked else { panic!() };
    assert_eq!(asked, conversation(5));
    peer.answer(request, Ok(Outcome::Reply(Reply::Conversation(Box::new(view(conversation(5), 2))))));
    let [(request, what, after)] = peer.follows()[..] else { panic!() };
    assert_eq!((what, after), (of(5), 0));
    peer.answer(request, following(Reply::Conversation(Box::new(view(conversation(5), 2))), 0));
    assert!(peer.methods().contains(&"conversation.followed".to_owned()));
    peer.notice(grown(5, message(1, "x")));
    assert_eq!(peer.events(), [1]);
}

#[test]
fn what_could_not_be_learnt_of_an_account_for_the_moment_is_asked_again() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    let later = || Err(Refusal::Unavailable { retry_after_ms: 500 });
    let held = || {
        let held = [4, 5].map(|it| (conversation(it), queue(1))).to_vec();
        let status = jono_domain::agent::Status::Online;
        following(Reply::Agent(Box::new(AgentView { agent: ann(), status, held, canned: Vec::new() })), 0)
    };
    let account = |follows: Vec<(u64, Address, u64)>| {
        follows.into_iter().find(|(_, what, _)| *what == Address::Agent(ann())).expect("the account").0
    };
    peer.moved(&[Address::Agent(ann())]);
    let request = account(peer.follows());
    peer.answer(request, held());
    let asked = peer.asked_one().number();
    peer.answer(asked, later());
    assert!(peer.asked().is_empty() && peer.life.has_more(), "at the next look");
    peer.life.go_on(NOW, &mut peer.sink);
    let request = account(peer.follows());
    peer.answer(request, held());
    let asked = peer.asked_one().number();
    peer.answer(asked, Ok(Outcome::Reply(Reply::Conversation(Box::new(view(conversation(5), 2))))));
    let [(request, ..)] = peer.follows()[..] else { panic!() };
    peer.answer(request, later());
    assert!(peer.asked().is_empty() && peer.life.has_more());
    peer.life.go_on(NOW, &mut peer.sink);
    let [(request, what, 0)] = peer.follows()[..] else { panic!() };
    assert_eq!(what, of(5));
    peer.answer(request, following(Reply::Conversation(Box::new(view(conversation(5), 2))), 0));
    assert!(peer.methods().contains(&"conversation.followed".to_owned()) && !peer.life.has_more());
}

#[test]
fn a_customer_is_told_the_place_and_whether_they_are_blocked() {
    let world = World::new();
    let mut peer = world.customer(&[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.sent();
    let Address::Customer(customer) =
        world.engine.followed.lock().unwrap().iter().copied().find(|it| matches!(it, Address::Customer(_))).unwrap()
    else {
        panic!()
    };
    peer.asked();
    peer.moved(&[of(4), Address::Customer(customer)]);
    for (request, what, _) in peer.follows() {
        let state = match what {
            Address::Customer(customer) => Reply::Customer(CustomerView {
                customer,
                open: vec![conversation(4)],
                ended: Vec::new(),
                blocked: Some(Some(NOW + 60_000)),
            }),
            _ => Reply::Conversation(Box::new(view(conversation(4), 10))),
        };
        peer.answer(request, following(state, 10));
    }
    let sent = peer.sent();
    let methods: Vec<_> = sent.iter().map(|sent| sent["method"].as_str().unwrap()).collect();
    assert!(methods.contains(&"conversation.position"), "{methods:?}");
    assert!(methods.iter().any(|method| method.contains("blocked")), "{methods:?}");
    assert!(peer.asked().is_empty(), "there is nothing else to follow, and nothing to read");
}

#[test]
fn a_subscribed_queue_is_told_to_be_renewed() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    peer.ask("queue.subscribe", json!({ "queues": [queue(1).to_string()] }));
    peer.answer_opening(&[], &[]);
    peer.sent();
    peer.asked();
    peer.moved(&[Address::Queue(queue(1))]);
    let follows = peer.follows();
    let (request, ..) = *follows.iter().find(|(_, what, _)| *what == Address::Queue(queue(1))).expect("followed again");
    peer.answer(request, following(Reply::Queue(summary(queue(1))), 0));
    let methods = peer.methods();
    assert!(methods.contains(&"queue.renewed".to_owned()), "{methods:?}");
}

#[test]
fn who_cannot_follow_again_now_tries_later_and_who_may_not_is_told() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    peer.moved(&[of(4)]);
    for refusal in [Refusal::Unavailable { retry_after_ms: 500 }, Refusal::Busy { retry_after_ms: 500 }] {
        let [(request, ..)] = peer.follows()[..] else { panic!() };
        peer.answer(request, Err(refusal));
        assert!(peer.sent().is_empty(), "clients hear nothing of it");
        peer.life.go_on(peer.now, &mut peer.sink);
    }
    // The engine takes nothing more for a moment.
    let [(request, ..)] = peer.follows()[..] else { panic!() };
    world.engine.is_full.store(true, Ordering::SeqCst);
    peer.answer(request, Err(Refusal::Unavailable { retry_after_ms: 500 }));
    peer.life.go_on(peer.now, &mut peer.sink);
    assert!(peer.asked().is_empty());
    world.engine.is_full.store(false, Ordering::SeqCst);
    peer.life.go_on(peer.now, &mut peer.sink);
    let [(request, what, 10)] = peer.follows()[..] else { panic!() };
    assert_eq!(what, of(4));
    peer.answer(request, Err(Refusal::NotFound));
    assert_eq!(peer.methods(), ["conversation.unfollowed"]);
    peer.notice(grown(4, message(11, "x")));
    assert!(peer.sent().is_empty());
}

#[test]
fn what_moves_twice_is_asked_for_once_at_a_time_it_waits() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    world.engine.is_full.store(true, Ordering::SeqCst);
    (0..3).for_each(|_| peer.moved(&[of(4)]));
    world.engine.is_full.store(false, Ordering::SeqCst);
    peer.life.go_on(peer.now, &mut peer.sink);
    assert_eq!(peer.follows().len(), 1);
}

#[test]
fn a_session_that_must_begin_anew_is_closed_so_that_its_client_resumes() {
    let world = World::new();
    let mut peer = ann_with_ten(&world);
    peer.life.told(Told::Reset, peer.now, &mut peer.sink);
    assert_eq!(peer.sink.closed, Some((1012, "resume")));
    // One that nobody has opened yet has learnt nothing.
    let mut fresh = world.peer();
    fresh.life.told(Told::Reset, fresh.now, &mut fresh.sink);
    assert_eq!(fresh.sink.closed, None);
}

#[test]
fn who_comes_with_another_log_is_told_everything_from_the_beginning() {
    let world = World::new();
    for (log, resumed, from) in [("log_0000000000000abc", true, 8), ("log_0000000000000abd", false, 0)] {
        let mut peer = world.peer();
        let since = json!({ conversation(4).to_string(): 8 });
        peer.ask("session.open", json!({ "role": "agent", "token": world.tokens["Ann"], "since": since, "log": log }));
        peer.answer_opening(&[4], &[]);
        let result = peer.sent().remove(0)["result"].clone();
        assert_eq!((&result["resumed"], &result["conversations"][0]["from_seq"]), (&json!(resumed), &json!(from)), "{result}");
    }
}
