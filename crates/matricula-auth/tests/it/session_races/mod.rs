//! Processes that renew the same session at once, while responses are lost, servers fail and programs
//! end: no session ends, and no token pair is lost.

mod server;
mod virtual_clock;

use virtual_clock::{Mistake, World};

const ACTIONS: usize = 80;

fn run(seed: u64, mistake: Option<Mistake>) -> Result<World, String> {
    let mut world = World::new(seed, mistake);
    world.run(ACTIONS).map(|()| world)
}

/// Prints its figures where they can be seen with `--nocapture`.
#[test]
#[allow(clippy::print_stdout)]
fn ten_thousand_races_lose_no_token_pair() {
    let (mut answered, mut failed, mut crashes) = (0, 0, 0);
    for seed in 0..10_000 {
        match run(seed, None) {
            Ok(world) => {
                answered += world.answered;
                failed += world.failed;
                crashes += world.crashes;
            }
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    println!("10000 races: {answered} calls answered, {failed} failed, {crashes} crashes");
    // The races were some: calls came through, and much went wrong.
    assert!(answered > 50_000, "{answered}");
    assert!(failed > 5_000, "{failed}");
    assert!(crashes > 10_000, "{crashes}");
}

/// The first seed that shows the mistake, and what it shows.
fn shown(mistake: Mistake) -> (u64, String) {
    let mut runs = (0..2_000).map(|seed| (seed, run(seed, Some(mistake))));
    runs.find_map(|(seed, result)| Some((seed, result.err()?)))
        .unwrap_or_else(|| panic!("{mistake:?} goes unseen"))
}

#[test]
#[allow(clippy::print_stdout)]
fn driver_mistakes_are_detected() {
    for (mistake, expected) in [
        (Mistake::NoLock, "two refreshes at once"),
        (Mistake::NoReading, "signed out"),
        (Mistake::StoredLate, "a token was used that is not stored"),
        (Mistake::UsedUnstored, "a token was used that is not stored"),
        (Mistake::TroubleIsRefusal, "signed out"),
        (Mistake::RefreshTokenDropped, "the pair is lost"),
        (Mistake::ReplacedDropped, "the pair is lost"),
    ] {
        let (seed, why) = shown(mistake);
        println!("{mistake:?}: seed {seed}: {why}");
        assert!(why.contains(expected), "{mistake:?}: seed {seed}: {why}");
    }
}
