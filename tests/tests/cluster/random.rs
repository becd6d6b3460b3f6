//! Faults by lot, one after the other, for as long as asked: `JONO_TEST_CAMPAIGN_SECONDS` (30 if it is not set). The seed is
//! printed with the history; `JONO_TEST_SEED` repeats its choices.

use std::time::{Duration, Instant};

use jono_test_redis::RedisServer;
use jono_tests::now_ms;
use jono_tests::server::Server;
use jono_tests::system::{Corpus, System};

use crate::run;

/// Choices that a seed repeats (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn pause(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms - from_ms))
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_goes_wrong_one_thing_at_a_time_everybody_sees_the_same() {
    run(async {
        let seed = number("JONO_TEST_SEED").unwrap_or_else(now_ms);
        let seconds = number("JONO_TEST_CAMPAIGN_SECONDS").unwrap_or(30);
        eprintln!("seed {seed}, {seconds} s");
        let mut dice = Dice(seed);
        let config = ["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"];
        let mut redis = RedisServer::start(&config);
        let mut system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(seconds as usize);
        let mut play = system.play(&corpus);
        let begun = Instant::now();
        while play.is_playing() {
            tokio::time::sleep(dice.pause(500, 4_000)).await;
            let at = begun.elapsed().as_secs_f64();
            if !play.is_playing() {
                break;
            }
            let engine = dice.below(3) as usize;
            let gateway = dice.below(2) as usize;
            match dice.below(7) {
                0 => {
                    eprintln!("{at:6.1} s  engine {engine} is killed");
                    killed(&mut system.engines[engine], dice.pause(200, 6_000)).await;
                }
                1 => {
                    eprintln!("{at:6.1} s  gateway {gateway} is killed");
                    killed(&mut system.gateways[gateway], dice.pause(200, 3_000)).await;
                }
                2 => {
                    let pause = dice.pause(500, 9_000);
                    eprintln!("{at:6.1} s  engine {engine} sleeps for {pause:?}");
                    slept(&system.engines[engine], pause).await;
                }
                3 => {
                    let pause = dice.pause(500, 5_000);
                    eprintln!("{at:6.1} s  gateway {gateway} sleeps for {pause:?}");
                    slept(&system.gateways[gateway], pause).await;
                }
                4 => {
                    eprintln!("{at:6.1} s  engine {engine} is restarted");
                    restarted(&mut system.engines[engine]).await;
                }
                5 => {
                    let pause = dice.pause(100, 3_000);
                    eprintln!("{at:6.1} s  Redis is killed, and comes back after {pause:?}");
                    redis.kill9();
                    tokio::time::sleep(pause).await;
                    redis.restart();
                }
                _ => {
                    let pause = dice.pause(100, 3_500);
                    eprintln!("{at:6.1} s  Redis freezes for {pause:?}");
                    redis.freeze();
                    tokio::time::sleep(pause).await;
                    redis.thaw();
                }
            }
            // One thing at a time: the next comes when everything serves again.
            system.all_ready().await;
        }
        play.passed().await;
    });
}

async fn killed(server: &mut Server, pause: Duration) {
    server.kill9();
    tokio::time::sleep(pause).await;
    server.restart().await;
}

async fn slept(server: &Server, pause: Duration) {
    server.freeze();
    tokio::time::sleep(pause).await;
    server.thaw();
}

async fn restarted(server: &mut Server) {
    server.terminate();
    assert!(server.ended().await.success(), "it ends in order");
    server.restart().await;
}
