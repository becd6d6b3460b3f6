//! The rules of SPEC section 1 and 2 about one conversation, as pages.

use super::{Body, Command, Event, MetadataValue, Start};
use crate::account::Who;
use crate::id::{ConversationId, CustomerId};
use crate::limits::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, TAGS_MAX, TEXT_BYTES_MAX};
use crate::machine::{Context, Machine};
use crate::message::{Effect, Order};
use crate::notice::{Notice, WorseReason};
use crate::organisation::Change;
use crate::reply::{Refusal, Reply};
use crate::testing::script::check;
use crate::testing::{Answer, BOB, EVE, ORGANISATION, SALES, TECH, World, agent, customer};
use crate::time::Time;

#[test]
fn l4_exactly_one_wins_and_the_others_hear_who() {
    check(
        "
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:01 eve claims ann
             -> ClaimHeld by bob
        0:02 bob claims ann
             -> claim 1 of ann
        0:03 eve picks from sales
             -> QueueEmpty
        0:04 dan claims ann
             -> NotFound
        0:04 foreign-bob claims ann
             -> NotFound
        0:04 foreign-ann writes ann: who am I
             -> NotFound
        0:05 cid claims ann
             -> NotFound
        ",
    );
}

#[test]
fn l4_a_write_under_an_old_claim_is_lost() {
    check(
        "
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 bob writes ann under 1: hi
             ann#5 bob: hi
        0:03 bob releases ann under 1
             ann#6 released from bob (Manual)
             0:04 ann is told place 1
        0:04 bob writes ann under 1: still there?
             -> ClaimLost to nobody, claim 1
        0:05 eve claims ann
             ann#7 claimed by eve, claim 2
             -> claim 2 of ann
        0:06 bob writes ann under 1: and now?
             -> ClaimLost to eve, claim 2
        0:06 bob touches ann under 1
             -> ClaimLost to eve, claim 2
        0:06 bob ends ann under 1
             -> ClaimLost to eve, claim 2
        0:06 bob hands ann to bob under 1
             -> ClaimLost to eve, claim 2
        0:06 bob moves ann to tech under 1
             -> ClaimLost to eve, claim 2
        0:06 bob releases ann under 1
             -> ClaimLost to eve, claim 2
        0:07 eve writes ann under 1: wrong number
             -> ClaimLost to eve, claim 2
        0:08 eve writes ann under 2: right number
             ann#8 eve: right number
        0:09 eve writes ann: none needed
             ann#9 eve: none needed
        ",
    );
}

#[test]
fn l5_others_see_and_note_but_do_not_write() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 eve writes ann: me too
             -> ClaimHeld by bob
        0:02 eve types to ann
             -> ClaimHeld by bob
        0:02 eve touches ann
             -> ClaimHeld by bob
        0:02 eve releases ann
             -> ClaimHeld by bob
        0:02 eve ends ann
             -> ClaimHeld by bob
        0:03 eve notes ann: a regular
             ann#5 [eve notes: a regular]
        0:04 eve looks at ann
             -> ann Active by bob, 1 unread, release 5:01, close 15:01, head 5
        0:05 dan notes ann: from elsewhere
             -> NotFound
        0:05 dan looks at ann
             -> NotFound
        0:06 oda notes ann: I see all queues
             ann#6 [oda notes: I see all queues]
        0:07 ann hears
             ann#4 claimed by bob, claim 1
        0:08 ann notes ann: may I
             -> Forbidden
        0:09 cid looks at ann
             -> NotFound
        ",
    );
}

#[test]
fn l5_before_it_is_claimed_nobody_writes_to_the_customer() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob writes ann: hi
             -> Conflict: claim the conversation first
        0:02 bob notes ann: looks urgent
             ann#3 [bob notes: looks urgent]
        0:03 ann writes: anybody?
             ann#4 ann: anybody?
        ",
    );
}

#[test]
fn l6_the_customer_is_shown_the_claim() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 ann hears
             ann#3 claimed by bob, claim 1
        ",
    );
}

#[test]
fn l7_assigned_to_an_agent_of_the_queue_who_is_online() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 bob hands ann to eve
             -> NoAgents
        0:02 eve connects
             eve Online (Connected)
        0:02 bob hands ann to eve
             ann#4 assigned from nobody to eve, claim 1
        0:03 bob hands ann to eve
             -> ClaimHeld by eve
        0:04 eve hands ann to bob under 1
             -> NoAgents
        0:05 bob connects
             bob Online (Connected)
        0:05 eve is away
             eve Away (Chosen)
        0:06 eve hands ann to bob under 1
             ann#5 assigned from eve to bob, claim 2
        0:07 bob writes ann: hi
             ann#6 bob: hi
        0:08 bob hands ann to eve
             -> NoAgents
        0:09 bob hands ann to dan
             -> NotFound
        0:10 dan connects
             dan Online (Connected)
        0:10 bob hands ann to dan
             -> NotFound
        0:11 bob hands ann to nobody
             -> NotFound
        0:12 bob hands ann to bob
        0:13 ann hears
             ann#4 assigned from nobody to eve, claim 1
             ann#5 assigned from eve to bob, claim 2
             ann#6 bob: hi
        ",
    );
}

#[test]
fn l7_moved_to_another_queue_with_its_history() {
    check(
        "
        0:00 bob connects
             bob Online (Connected)
        0:00 dan connects
             dan Online (Connected)
        0:00 ann connects
        0:00 ann starts in sales: it does not work
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: it does not work
             -> place 1
             raised: ann: it does not work
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 bob moves ann to tech: needs a technician
             ann#5 [bob notes: needs a technician]
             ann#6 moved from sales to tech
             raised: ann: it does not work
             ann is told place 1
        0:03 bob looks at ann
             -> NotFound
        0:03 dan looks at ann
             -> ann Waiting, 1 unread, place 1, head 6
        0:04 dan picks from tech
             ann#7 claimed by dan, claim 2
             -> claim 2 of ann
        0:05 dan writes ann: let me see
             ann#8 dan: let me see
        0:06 bob lists sales
        0:06 dan lists tech
             -> ann Active by dan, release 5:05, close 15:04
        0:07 ann hears
             ann#4 claimed by bob, claim 1
             ann#6 moved from sales to tech
             ann is told place 1
             ann#7 claimed by dan, claim 2
             ann#8 dan: let me see
        ",
    );
}

#[test]
fn l7_only_where_the_queue_allows_it() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob moves ann to sales
             -> Conflict: the conversation is in that queue already
        0:02 bob moves ann to nowhere
             -> NotFound
        0:03 root sets sales targets -
        0:03 bob moves ann to tech
             -> Forbidden
        0:04 root sets sales targets tech
        0:04 root sets tech waiting_max 1
        0:04 cid starts in tech
             cid#1 started
             cid#2 queued in tech at 1
             -> place 1
        0:05 bob moves ann to tech
             -> QueueFull
        0:06 dan shuts tech
        0:06 dan claims cid
             cid#3 claimed by dan, claim 1
             -> claim 1 of cid
        0:07 bob moves ann to tech
             -> QueueClosed { next_open_at: None }
        0:08 dan opens tech
        0:08 bob moves ann to tech
             ann#3 moved from sales to tech
             ann is told place 1
        0:09 dan counts tech
             -> open: 1 wait since 0:00, 1 active, 0 unread
        0:09 bob counts sales
             -> open: 0 wait, 0 active, 0 unread
        ",
    );
}

#[test]
fn l8_released_after_five_minutes_of_silence_of_the_holder() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:10 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:11 bob looks at ann
             -> ann Active by bob, 1 unread, release 5:10, close 15:10, head 4
        1:00 ann writes: are you there?
             ann#5 ann: are you there?
        2:00 eve notes ann: he is at lunch
             ann#6 [eve notes: he is at lunch]
        4:09.999
             4:10 ann warned: Release at 5:10
        4:10
        5:09.999
             5:10 ann#7 released from bob (Inactive)
             5:10 ann is told place 1
        5:10
        5:11 bob writes ann under 1: sorry
             -> ClaimLost to nobody, claim 1
        5:12 eve picks from sales
             ann#8 claimed by eve, claim 2
             -> claim 2 of ann
        ",
    );
}

#[test]
fn l8_message_typing_note_tag_and_touch_keep_the_claim() {
    check(
        "
        0:00 root defines vip
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        3:00 bob writes ann: hi
             ann#5 bob: hi
        3:00 bob looks at ann
             -> ann Active by bob, release 8:00, close 15:00, head 5
        3:00 ann types
        6:00 bob notes ann: regular
             ann#6 [bob notes: regular]
        6:00 bob looks at ann
             -> ann Active by bob, release 11:00, close 18:00, head 6
        6:00 ann types
        9:00 bob tags ann vip
             ann#7 [tagged vip]
        9:00 bob looks at ann
             -> ann Active by bob, release 14:00, close 21:00, vip, head 7
        12:00 bob touches ann
        12:00 bob looks at ann
             -> ann Active by bob, release 17:00, close 21:00, vip, head 7
        12:00 ann types
        15:03 bob types to ann
        15:03 bob looks at ann
             -> ann Active by bob, release 20:10, close 27:00, vip, head 7
        15:04 bob untags ann vip
             ann#8 [untagged vip]
        15:04 bob looks at ann
             -> ann Active by bob, release 20:10, close 27:00, head 8
        15:05 bob reads ann 1
        15:05 bob looks at ann
             -> ann Active by bob, release 20:10, close 27:00, head 8
             19:10 ann warned: Release at 20:10
        19:10
             20:10 ann#9 released from bob (Inactive)
             20:10 ann is told place 1
        20:10
        ",
    );
}

#[test]
fn l8_the_clock_may_run_only_while_the_customer_waits() {
    check(
        "
        0:00 root sets sales clock -
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        1:00 bob claims ann
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        1:01 bob looks at ann
             -> ann Active by bob, release 6:00, close 16:00, head 3
        2:00 bob writes ann: what is it?
             ann#4 bob: what is it?
        2:01 bob looks at ann
             -> ann Active by bob, close 16:00, head 4
        9:00 ann writes: this
             ann#5 ann: this
        9:30 ann writes: and that
             ann#6 ann: and that
        9:31 bob looks at ann
             -> ann Active by bob, 2 unread, release 14:00, close 24:30, head 6
             13:00 ann warned: Release at 14:00
        13:00 bob notes ann: hm
             ann#7 [bob notes: hm]
        13:01 bob looks at ann
             -> ann Active by bob, 2 unread, release 18:00, close 24:30, head 7
             17:00 ann warned: Release at 18:00
             18:00 ann#8 released from bob (Inactive)
             18:00 ann is told place 1
        18:00
        ",
    );
}

#[test]
fn l8_a_release_keeps_the_place_in_the_order() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 cid connects
        0:01 cid starts in sales
             cid#1 started
             cid#2 queued in sales at 2
             -> place 2
        0:02 bob picks from sales
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
             0:04 cid is told place 1
        0:10 bob releases ann
             ann#4 released from bob (Manual)
             ann is told place 1
             cid is told place 2 (Returned)
        0:12 cid looks at cid
             -> cid Waiting, place 2, head 2
        0:13 eve picks from sales
             ann#5 claimed by eve, claim 2
             -> claim 2 of ann
        ",
    );
}

#[test]
fn l9_closed_after_a_quarter_of_an_hour_without_the_customer() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:30 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        1:00 ann writes: hello?
             ann#5 ann: hello?
             4:30 ann warned: Release at 5:30
        5:00 bob writes ann: yes?
             ann#6 bob: yes?
             9:00 ann warned: Release at 10:00
        9:00 bob touches ann
             13:00 ann warned: Release at 14:00
        13:00 bob touches ann
             15:00 ann warned: Close at 16:00
        15:00
        15:59.999
             16:00 ann#7 closed (Inactive)
        16:00
        16:01 ann writes: I am back
             -> ConversationClosed
        16:02 bob writes ann: too late
             -> ConversationClosed
        ",
    );
}

#[test]
fn l9_message_typing_and_the_page_keep_it_open() {
    check(
        "
        0:00 root sets sales release 60:00
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        10:00 ann types
        10:00 bob looks at ann
             -> ann Active by bob, 1 unread, release 60:00, close 25:00, head 4
        20:00 ann shows page /cart
             ann#5 [metadata page]
        20:00 bob looks at ann
             -> ann Active by bob, 1 unread, release 60:00, close 35:00, head 5, page
        30:00 ann shows page /cart
        30:00 bob looks at ann
             -> ann Active by bob, 1 unread, release 60:00, close 45:00, head 5, page
        40:00 ann reads ann 1
        40:00 bob looks at ann
             -> ann Active by bob, 1 unread, release 60:00, close 45:00, head 5, page
             44:00 ann warned: Close at 45:00
             45:00 ann#6 closed (Inactive)
        50:00
        ",
    );
}

#[test]
fn l9_while_it_waits_the_clock_runs_only_without_a_connection() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        60:00 ann disconnects
        70:00 ann connects
        70:01 bob looks at ann
             -> ann Waiting, 1 unread, place 1, head 3
        90:00 ann disconnects
        90:01 bob looks at ann
             -> ann Waiting, 1 unread, close 105:00, place 1, head 3
        95:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        95:01 bob looks at ann
             -> ann Active by bob, 1 unread, release 100:00, close 110:00, head 4
        96:00 bob releases ann
             ann#5 released from bob (Manual)
             ann is told place 1
        96:01 bob looks at ann
             -> ann Waiting, 1 unread, close 110:00, place 1, head 5
             109:00 ann warned: Close at 110:00
             110:00 ann#6 closed (Inactive)
        111:00
        ",
    );
}

#[test]
fn l9_a_customer_who_never_connected_is_not_waited_for() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
             14:00 ann warned: Close at 15:00
             15:00 ann#3 closed (Inactive)
        15:00
        ",
    );
}

#[test]
fn l9_the_close_clock_begins_anew_at_a_claim() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        59:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        59:00 bob looks at ann
             -> ann Active by bob, 1 unread, release 64:00, close 74:00, head 4
        ",
    );
}

#[test]
fn l10_one_warning_a_minute_before_each_deadline() {
    check(
        "
        0:00 ann connects
        0:00 bob connects
             bob Online (Connected)
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
             raised: ann: hello
        0:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        3:59.999
             4:00 ann warned: Release at 5:00
        4:00
        4:30 bob touches ann
        4:31 bob looks at ann
             -> ann Active by bob, 1 unread, release 9:30, close 15:00, head 4
        8:29
             8:30 ann warned: Release at 9:30
        8:30
        9:00 bob touches ann
             13:00 ann warned: Release at 14:00
        13:00
        13:30 bob touches ann
             14:00 ann warned: Close at 15:00
        14:00
             15:00 ann#5 closed (Inactive)
        15:00
        15:01 ann hears
             ann#4 claimed by bob, claim 1
             ann warned: Release at 5:00
             ann warned: Release at 9:30
             ann warned: Release at 14:00
             ann warned: Close at 15:00
             ann#5 closed (Inactive)
        ",
    );
}

#[test]
fn l10_short_windows_are_warned_of_at_half() {
    check(
        "
        0:00 root sets sales release 0:10
        0:00 root sets sales close 0:40
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:00 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
             0:05 ann warned: Release at 0:10
        0:05
             0:10 ann#5 released from bob (Inactive)
             0:10 ann is told place 1
        0:10
        0:11 ann disconnects
             0:31 ann warned: Close at 0:51
        0:31
             0:51 ann#6 closed (Inactive)
        0:51
        ",
    );
}

#[test]
fn l11_either_side_may_end_it() {
    check(
        "
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 ann leaves
             ann#4 closed (Customer)
        0:02 ann writes: one more
             -> ConversationClosed
        0:02 ann leaves
             -> ConversationClosed
        0:02 ann types
             -> ConversationClosed
        0:02 ann shows page /
             -> ConversationClosed
        0:03 cid starts in sales: hello
             cid#1 started
             cid#2 queued in sales at 1
             cid#3 cid: hello
             -> place 1
        0:04 bob claims cid
             cid#4 claimed by bob, claim 1
             -> claim 1 of cid
        0:05 eve ends cid
             -> ClaimHeld by bob
        0:06 bob ends cid under 1
             cid#5 closed (Agent)
        0:07 bob writes cid: one more
             -> ConversationClosed
        0:07 bob claims cid
             -> ConversationClosed
        0:07 bob hands cid to eve
             -> ConversationClosed
        0:07 bob moves cid to tech
             -> ConversationClosed
        0:07 bob prioritises cid 2
             -> ConversationClosed
        0:08 eva starts in sales: wrong number
             eva#1 started
             eva#2 queued in sales at 1
             eva#3 eva: wrong number
             -> place 1
        0:09 bob ends eva
             eva#4 closed (Agent)
        ",
    );
}

#[test]
fn l11_notes_and_tags_for_six_hours_after() {
    check(
        "
        0:00 root defines vip
        0:00 root defines lost
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 bob ends ann
             ann#5 closed (Agent)
        360:02 bob notes ann: called back
             ann#6 [bob notes: called back]
        360:02 eve tags ann vip
             ann#7 [tagged vip]
        360:02.001 bob notes ann: too late
             -> ConversationClosed
        360:02.001 bob tags ann lost
             -> ConversationClosed
        360:02.001 bob untags ann vip
             -> ConversationClosed
        360:03 bob looks at ann
             -> ann Closed, 1 unread, vip, head 7
        ",
    );
}

#[test]
fn l11_rated_once_and_only_after_the_end() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:01 ann rates 5
             -> Conflict: rate after the end
        0:02 bob ends ann
             ann#4 closed (Agent)
        0:03 ann rates 6
             -> Invalid: rating
        0:03 ann rates 0
             -> Invalid: rating
        0:03 cid rates 1
             -> NotFound
        0:04 ann rates 4: thanks
             ann#5 rated 4: thanks
        0:05 ann rates 1: no
             -> Conflict: rated already
        0:06 eve looks at ann
             -> ann Closed, 1 unread, head 5
        ",
    );
}

#[test]
fn l12_who_is_cut_off_keeps_the_conversation() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:10 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        0:20 ann disconnects
        0:30 bob writes ann: are you there?
             ann#5 bob: are you there?
             4:30 ann warned: Release at 5:30
        5:00 ann connects
        5:00 ann looks at herself
             -> open 1, ended 0, blocked: no
        5:00 ann looks at ann
             -> ann Active by bob, release 5:30, close 15:10, head 5
        5:01 ann writes: yes
             ann#6 ann: yes
        5:02 ann hears
             ann#4 claimed by bob, claim 1
             ann#6 ann: yes
        ",
    );
}

#[test]
fn l12_everything_survives_the_loss_of_the_process() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:05 cid connects
        0:05 cid starts in sales: hello
             cid#1 started
             cid#2 queued in sales at 2
             cid#3 cid: hello
             -> place 2
        0:10 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
             cid is told place 1
        2:00 ann restarts
             bob Offline (Disconnected, not connected)
        2:00 cid looks at cid
             -> cid Waiting, 1 unread, close 17:00, place 1, head 3
        2:00 bob counts sales
             -> open: 1 wait since 0:05, 1 active, 2 unread
        2:00 bob lists sales
             -> cid Waiting, 1 unread, close 17:00
             -> ann Active by bob, 1 unread, release 5:10, close 15:10
        2:01 bob connects
             bob Online (Connected)
        2:01 ann connects
             4:10 ann warned: Release at 5:10
             5:10 ann#5 released from bob (Inactive)
             5:10 ann is told place 1
             5:10 cid is told place 2 (Returned)
        5:10
             16:00 cid warned: Close at 17:00
             17:00 cid#4 closed (Inactive)
        17:00
        ",
    );
}

#[test]
fn tags_are_those_that_operators_define() {
    check(
        "
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob tags ann vip
             -> NotFound
        0:02 root defines vip
        0:03 bob tags ann vip
             ann#3 [tagged vip]
        0:04 eve tags ann vip
        0:05 bob looks at ann
             -> ann Waiting, close 15:00, place 1, vip, head 3
        0:06 ann tags ann vip
             -> Forbidden
        0:07 bob untags ann vip
             ann#4 [untagged vip]
        0:08 bob untags ann vip
        ",
    );
}

#[test]
fn unread_is_what_no_agent_has_read() {
    check(
        "
        0:00 ann starts in sales: one
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: one
             -> place 1
        0:01 ann writes: two
             ann#4 ann: two
        0:02 bob counts sales
             -> open: 1 wait since 0:00, 0 active, 2 unread
        0:03 bob reads ann 3
        0:04 bob counts sales
             -> open: 1 wait since 0:00, 0 active, 1 unread
        0:05 ann reads ann 4
        0:05 bob counts sales
             -> open: 1 wait since 0:00, 0 active, 1 unread
        0:06 bob reads ann 99
             -> Invalid: seq
        0:06 bob claims ann
             ann#5 claimed by bob, claim 1
             -> claim 1 of ann
        0:07 ann writes: three
             ann#6 ann: three
        0:08 bob writes ann: answer
             ann#7 bob: answer
        0:09 bob counts sales
             -> open: 0 wait, 1 active, 0 unread
        ",
    );
}

#[test]
fn a_customer_does_not_learn_of_hidden_events_from_read_marks() {
    check(
        "
        0:00 ann starts in sales: one
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: one
             -> place 1
        0:01 bob notes ann: hidden
             ann#4 [bob notes: hidden]
        0:02 ann reads ann 4
             -> Invalid: seq
        0:03 ann reads ann 3
        ",
    );
}

#[test]
fn what_the_customer_types_is_shown_to_agents_where_the_queue_wants_it() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob connects
             bob Online (Connected)
        0:01 bob claims ann
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 ann types: my number is
        0:03 bob hears
             bob Online (Connected)
             ann types
        0:04 root sets sales preview on
        0:05 ann types: my number is 12
        0:06 bob hears
             ann types: my number is 12
        0:07 ann hears
        ",
    );
}

#[test]
fn settings_hold_for_the_command_that_adopts_them() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales
             ann#1 started
             ann#2 queued in sales at 1
             -> place 1
        0:01 bob connects
             bob Online (Connected)
        0:01 bob claims ann
             ann#3 claimed by bob, claim 1
             -> claim 1 of ann
        0:02 root sets sales release 2:00
        0:03 bob looks at ann
             -> ann Active by bob, release 2:01, close 15:01, head 3
             1:01 ann warned: Release at 2:01
             2:01 ann#4 released from bob (Inactive)
             2:01 ann is told place 1
        2:01
        ",
    );
}

const ANN: ConversationId = ConversationId::from_bits(1);

/// A world with one conversation that waits in sales.
fn waiting() -> World {
    let mut world = World::new();
    assert!(start(&mut world, Start { message: Some("hello".to_owned()), ..nothing() }).is_ok());
    world
}

fn nothing() -> Start {
    Start {
        organisation: ORGANISATION,
        customer: CustomerId::from_bits(0),
        customer_name: None,
        metadata: Vec::new(),
        message: None,
        priority: 0,
    }
}

fn start(world: &mut World, start: Start) -> Answer {
    let command = crate::customer::Command::Start { conversation: ANN, queue: SALES, start: Box::new(start) };
    world.ask(customer(1), Order::Customer(CustomerId::from_bits(1), Box::new(command)))
}

fn ask(world: &mut World, who: Who, command: Command) -> Answer {
    world.ask(who, Order::Conversation(ANN, Box::new(command)))
}

fn too_large<T: Copy + TryInto<u64, Error: std::fmt::Debug>>(max: T) -> Answer {
    Err(Refusal::TooLarge { max: max.try_into().unwrap() })
}

#[test]
fn l4_a_pick_that_comes_too_late_gets_the_next_one() {
    let mut world = waiting();
    let second = ConversationId::from_bits(2);
    let command = crate::customer::Command::Start { conversation: second, queue: SALES, start: Box::new(nothing()) };
    world.ask(customer(2), Order::Customer(CustomerId::from_bits(2), Box::new(command))).unwrap();
    // The claim is decided, the queue has not heard of it: it offers the same conversation.
    let claim = world.send(agent(BOB), Order::Conversation(ANN, Box::new(Command::Claim { picked: None })));
    let pick = || Order::Queue(SALES, Box::new(crate::queue::Command::Pick { missed: 0 }));
    let picks = [world.send(agent(BOB), pick()), world.send(agent(EVE), pick())];
    world.drain();
    assert!(matches!(world.answers[&claim], Ok(Reply::Claimed { conversation: ANN, claim: 1, .. })));
    // Of the two one gets the other conversation, also where the first is the agent's own; one gets nothing.
    let won: Vec<_> = picks.iter().filter_map(|pick| world.answers[pick].as_ref().ok()).collect();
    assert!(matches!(won.as_slice(), [Reply::Claimed { conversation, claim: 1, .. }] if *conversation == second), "{won:?}");
    assert!(picks.iter().any(|pick| world.answers[pick] == Err(Refusal::QueueEmpty)));
}

#[test]
fn texts_have_limits() {
    let mut world = waiting();
    ask(&mut world, agent(BOB), Command::Claim { picked: None }).unwrap();
    let text = |bytes: usize| "x".repeat(bytes);
    for who in [customer(1), agent(BOB)] {
        assert!(ask(&mut world, who, Command::Send { claim: None, text: text(TEXT_BYTES_MAX) }).is_ok());
        let longer = Command::Send { claim: None, text: text(TEXT_BYTES_MAX + 1) };
        assert_eq!(ask(&mut world, who, longer), too_large(TEXT_BYTES_MAX));
        let empty = Command::Send { claim: None, text: " \n".to_owned() };
        assert_eq!(ask(&mut world, who, empty), Err(Refusal::invalid("text")));
        let preview = Some(text(TEXT_BYTES_MAX + 1));
        assert_eq!(ask(&mut world, who, Command::Type { typing: true, preview }), too_large(TEXT_BYTES_MAX));
    }
    assert_eq!(ask(&mut world, agent(BOB), Command::AddNote { text: text(TEXT_BYTES_MAX + 1) }), too_large(TEXT_BYTES_MAX));
}

#[test]
fn a_start_that_is_too_large_takes_no_room_in_the_queue() {
    let mut world = World::new();
    world.set(SALES, |settings| settings.waiting_max = Some(1));
    let name = Start { customer_name: Some("x".repeat(201)), ..nothing() };
    assert_eq!(start(&mut world, name), too_large(200u32));
    let message = Start { message: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..nothing() };
    assert_eq!(start(&mut world, message), too_large(TEXT_BYTES_MAX));
    let metadata = vec![("k".to_owned(), MetadataValue::Text("x".repeat(METADATA_BYTES_MAX)))];
    assert_eq!(start(&mut world, Start { metadata, ..nothing() }), too_large(METADATA_BYTES_MAX));
    // Whatever priority came in, it is one of those that exist.
    assert!(start(&mut world, Start { priority: i8::MAX, ..nothing() }).is_ok());
    assert_eq!(world.conversations[&ANN].state.life.priority, 9);
}

#[test]
fn metadata_has_limits() {
    let mut world = waiting();
    let set = |world: &mut World, changes: Vec<(String, Option<MetadataValue>)>| {
        ask(world, customer(1), Command::UpdateMetadata { changes })
    };
    let text = |bytes: usize| Some(MetadataValue::Text("x".repeat(bytes)));
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), text(1))).collect();
    assert_eq!(set(&mut world, many(METADATA_ENTRIES_MAX + 1)), too_large(METADATA_ENTRIES_MAX));
    assert!(set(&mut world, many(METADATA_ENTRIES_MAX)).is_ok());
    assert_eq!(set(&mut world, vec![("more".to_owned(), text(1))]), too_large(METADATA_ENTRIES_MAX));
    assert!(set(&mut world, vec![("k0".to_owned(), None), ("more".to_owned(), text(1))]).is_ok());
    assert_eq!(set(&mut world, vec![("k1".to_owned(), text(METADATA_BYTES_MAX))]), too_large(METADATA_BYTES_MAX));
    // What is overwritten at once would stay in the log all the same.
    let twice = vec![("k1".to_owned(), text(METADATA_BYTES_MAX)), ("k1".to_owned(), None)];
    assert_eq!(set(&mut world, twice), too_large(METADATA_BYTES_MAX));
    // Empty pairs have no bytes, but take room.
    let hollow = Some(MetadataValue::Group(vec![(String::new(), String::new()); METADATA_ENTRIES_MAX + 1]));
    assert_eq!(set(&mut world, vec![("k1".to_owned(), hollow)]), too_large(METADATA_ENTRIES_MAX));
    assert_eq!(set(&mut world, vec![("a b".to_owned(), None)]), Err(Refusal::invalid("metadata")));
}

#[test]
fn tags_have_a_limit() {
    let mut world = waiting();
    for n in 0..=TAGS_MAX {
        world.change(Change::PutTag { tag: format!("t{n}"), definition: Some(Default::default()) });
        let added = ask(&mut world, agent(BOB), Command::AddTag { tag: format!("t{n}") });
        assert_eq!(added.is_ok(), n < TAGS_MAX, "{added:?}");
    }
}

#[test]
fn a_late_word_of_a_queue_it_has_left_is_not_passed_on() {
    let mut world = waiting();
    let place = |queue, position, reason| Command::Place { queue, position, wait_ms: None, reason };
    let decide = |world: &World, command: &Command| {
        let context = Context { now: world.now, who: Who::Engine, organisation: Some(&world.directory) };
        world.conversations[&ANN].state.decide(ANN, command, &context).unwrap()
    };
    assert_eq!(decide(&world, &place(TECH, 7, None)), []);
    assert_eq!(decide(&world, &place(SALES, 1, None)), [], "told already");
    let worse = |reason| Event::Placed { position: 2, wait_ms: None, reason: Some(reason) };
    assert_eq!(decide(&world, &place(SALES, 2, Some(WorseReason::Priority))), [worse(WorseReason::Priority)]);
    assert_eq!(decide(&world, &place(SALES, 2, None)), [worse(WorseReason::Returned)], "never without a reason");
    ask(&mut world, agent(BOB), Command::Claim { picked: None }).unwrap();
    assert_eq!(decide(&world, &place(SALES, 2, None)), [], "claimed meanwhile");
}

#[test]
fn typing_at_the_end_of_time_is_no_overflow() {
    let mut world = waiting();
    world.now = Time(u64::MAX - 1);
    assert!(ask(&mut world, customer(1), Command::Type { typing: true, preview: None }).is_ok());
    assert_eq!(world.conversations[&ANN].state.life.customer_active_at, Time(u64::MAX));
}

#[test]
fn after_loading_it_is_announced_as_it_is_now() {
    let mut world = waiting();
    world.connect(customer(1));
    let context = Context { now: world.now + 5, who: Who::Engine, organisation: Some(&world.directory) };
    let (events, effects) = world.conversations[&ANN].state.recovered(ANN, &context);
    assert_eq!(events, [Event::Disconnected(Some(world.now + 5))]);
    let Effect::Tell(Order::Queue(SALES, command)) = &effects[0] else { panic!("{effects:?}") };
    assert!(matches!(&**command, crate::queue::Command::Announce { row } if !row.connected && row.deadlines.close_at.is_some()));
}

#[test]
fn who_lost_the_queue_stops_following_with_the_claim() {
    let mut world = waiting();
    let bob = world.connect(agent(BOB));
    ask(&mut world, agent(BOB), Command::Claim { picked: None }).unwrap();
    let mut account = world.directory.accounts[&BOB].clone();
    account.queues.clear();
    world.change(Change::PutAgent { agent: BOB, account: Some(Box::new(account)) });
    assert!(ask(&mut world, agent(BOB), Command::Send { claim: None, text: "bye".to_owned() }).is_ok(), "the holder may finish");
    ask(&mut world, agent(BOB), Command::Release { claim: None }).unwrap();
    world.told.clear();
    ask(&mut world, customer(1), Command::Send { claim: None, text: "a secret".to_owned() }).unwrap();
    assert!(!world.told.iter().any(|(session, notice)| *session == bob && matches!(notice, Notice::Entry { .. })));
}

#[test]
fn hidden_entries_are_hidden() {
    let mut world = waiting();
    let session = world.connect(customer(1));
    world.change(Change::PutTag { tag: "vip".to_owned(), definition: Some(Default::default()) });
    ask(&mut world, agent(BOB), Command::AddNote { text: "note".to_owned() }).unwrap();
    ask(&mut world, agent(BOB), Command::AddTag { tag: "vip".to_owned() }).unwrap();
    ask(&mut world, agent(BOB), Command::Prioritise { priority: 1 }).unwrap();
    ask(&mut world, agent(BOB), Command::Claim { picked: None }).unwrap();
    let entries = world.told.iter().filter(|(to, _)| *to == session).filter_map(|(_, notice)| match notice {
        Notice::Entry { entry, .. } => Some((entry.seq, entry.prev_for_customers, &entry.body)),
        _ => None,
    });
    assert_eq!(entries.collect::<Vec<_>>(), [(7, 3, &Body::Claimed { agent: BOB, claim: 1 })]);
}

#[test]
fn l9_a_hand_over_is_no_activity_of_the_customer() {
    check(
        "
        0:00 ann connects
        0:00 ann starts in sales: hello
             ann#1 started
             ann#2 queued in sales at 1
             ann#3 ann: hello
             -> place 1
        0:00 eve connects
             eve Online (Connected)
        0:30 bob claims ann
             ann#4 claimed by bob, claim 1
             -> claim 1 of ann
        4:00 bob hands ann to eve under 1
             ann#5 assigned from bob to eve, claim 2
        4:00 eve looks at ann
             -> ann Active by eve, 1 unread, release 9:00, close 15:30, head 5
        ",
    );
}
