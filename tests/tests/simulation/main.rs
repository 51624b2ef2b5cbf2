//! The engine in ten thousand small worlds; see `sim` for what a world is (DESIGN 10.3).

mod sim;

/// Every run tries the same worlds; `cargo run --release -p rocketmq-testkit --example simulate`
/// tries as many others as one likes.
const FIRST_SEED: u64 = 1;
const WORLDS: u64 = 10_000;

#[test]
fn ten_thousand_worlds_keep_every_promise() {
    println!("seeds {FIRST_SEED}..{}", FIRST_SEED + WORLDS);
    match sim::run_many(FIRST_SEED..FIRST_SEED + WORLDS, 2, |_| {}) {
        Ok(totals) => println!("{totals:#?}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn the_same_seed_is_the_same_world_to_the_byte() {
    for seed in 1..30 {
        let digest = || match sim::replay(seed, false) {
            Ok(digest) => digest,
            Err(failure) => panic!("{failure}"),
        };
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}
