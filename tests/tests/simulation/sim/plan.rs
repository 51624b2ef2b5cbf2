//! What a seed decides before its world begins: the cluster, the producer's settings, the weather.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_engine::proto::{FrameLimits, GroupName, SerializeType, TopicName};
use rocketmq_engine::{
    AttemptTimeout, AutoBatch, Config, Discovery, Endpoint, FaultTolerance, OnTimeout, Retry,
    TraceConfig,
};
use rocketmq_testkit::Flavour;

use super::discovery::URL;
use super::dressed::{self, Diary};
use super::rng::Rng;
use super::workload::STABLE;

const MS: Duration = Duration::from_millis(1);

pub(super) struct Plan {
    pub(super) name_servers: usize,
    /// Whether they are asked for over HTTP, not configured.
    pub(super) discovers: bool,
    pub(super) brokers: usize,
    pub(super) flavour: Flavour,
    pub(super) auto_create: bool,
    /// Queues of the topic whose route never changes, on each broker.
    pub(super) stable_queues: i32,
    pub(super) config: Config,
    /// Calls of the application, spread over the time until `horizon`.
    pub(super) calls: usize,
    /// Changes for the worse (and better) in the cluster, spread likewise.
    pub(super) upsets: usize,
    pub(super) horizon: Duration,
    /// Whether the application shuts the producer down in the midst of it all.
    pub(super) early_end: bool,
    /// How late the driver's alarm may ring.
    pub(super) lateness: Duration,
    /// Whether each written frame is reported at once, or only what asks for it.
    pub(super) eager_reports: bool,
    pub(super) weather: Weather,
    /// What the application's hooks see, when there are any.
    pub(super) diary: Option<Arc<Diary>>,
}

/// How the network does. Chances are out of a thousand.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) delay: Duration,
    /// Pieces of a few bytes instead of what fits a packet.
    pub(super) chopped: bool,
    /// A socket takes no more bytes for a while.
    pub(super) stalls: usize,
    /// A connection breaks after some bytes.
    pub(super) breaks: usize,
    /// A connection goes silent after some bytes.
    pub(super) silences: usize,
    pub(super) refused: usize,
    /// Dials that nobody ever answers.
    pub(super) ignored: usize,
    pub(super) slow: usize,
    /// News of connections that the engine has closed arrives after that.
    pub(super) stale: usize,
}

impl Weather {
    /// A good day, on which everything that can work does.
    pub(super) const FINE: Self = Self {
        delay: MS,
        chopped: false,
        stalls: 0,
        breaks: 0,
        silences: 0,
        refused: 0,
        ignored: 0,
        slow: 0,
        stale: 0,
    };

    fn draw(rng: &mut Rng) -> Self {
        if rng.chance(250) {
            return Self {
                delay: rng.pick(&[MS, 5 * MS, 40 * MS]),
                chopped: rng.chance(300),
                ..Self::FINE
            };
        }
        Self {
            delay: rng.pick(&[MS, 10 * MS, 100 * MS]),
            chopped: rng.chance(500),
            stalls: rng.pick(&[0, 0, 30, 300]),
            breaks: rng.pick(&[0, 100, 500]),
            silences: rng.pick(&[0, 50, 250]),
            refused: rng.pick(&[0, 100, 400]),
            ignored: rng.pick(&[0, 50, 200]),
            slow: rng.pick(&[0, 100, 500]),
            stale: rng.pick(&[0, 300]),
        }
    }
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let name_servers = rng.within(1, 3);
        let weather = Weather::draw(rng);
        let mut config = draw_config(rng, name_servers);
        config.vip_channel = rng.chance(150);
        if rng.chance(150) {
            config.topics = vec![TopicName::new(STABLE).expect("a legal name")];
        }
        let discovers = rng.chance(250);
        if discovers {
            config.name_servers.clear();
            let mut discovery = Discovery::new(URL).expect("a legal URL");
            discovery.interval = rng.pick(&[300 * MS, 2_000 * MS, 120_000 * MS]);
            discovery.retry = rng.pick(&[100 * MS, 10_000 * MS]);
            discovery.timeout = rng.pick(&[50 * MS, 500 * MS, 3_000 * MS]);
            config.discovery = Some(discovery);
        }
        let diary = dressed::draw(rng, &mut config);
        Self {
            name_servers,
            discovers,
            brokers: rng.within(1, 3),
            flavour: rng.pick(&[Flavour::V4_9, Flavour::V5_3]),
            auto_create: rng.chance(600),
            stable_queues: rng.within(1, 4) as i32,
            horizon: rng.pick(&[300 * MS, 2_000 * MS, 8_000 * MS]),
            calls: rng.within(10, 50),
            upsets: rng.pick(&[0, 2, 6, 12]),
            early_end: rng.chance(200),
            lateness: rng.pick(&[Duration::ZERO, MS, 30 * MS]),
            eager_reports: rng.chance(400),
            config,
            weather,
            diary,
        }
    }

    /// How long the producer may take to notice that the weather is fine again: two heartbeats or
    /// polls show that a connection is dead, after which dials come at most so far apart.
    pub(super) fn settling(&self) -> Duration {
        let config = &self.config;
        3 * (config.heartbeat_interval + config.poll_interval)
            + 3 * (config.connect_timeout + config.api_timeout)
            + config.reconnect_max
            + self.longest_call()
    }

    /// The longest budget that a call of the workload gets.
    pub(super) fn longest_call(&self) -> Duration {
        self.config.send_timeout.max(3_000 * MS)
    }
}

fn draw_config(rng: &mut Rng, name_servers: usize) -> Config {
    let group = GroupName::new("simulated").expect("a legal name");
    let mut config = Config::new(group);
    config.client_id = "10.0.2.1@1#1".to_owned();
    config.name_servers = (1..=name_servers)
        .map(|host| Endpoint::new(format!("10.0.0.{host}:9876")).expect("a legal address"))
        .collect();
    config.serialize_type = rng.pick(&[SerializeType::Json, SerializeType::Binary]);
    config.retry = rng.pick(&[Retry::AtLeastOnce, Retry::NotAfterWrite]);
    config.retries = rng.within(0, 4) as u32;
    config.check_timeout = 400 * MS;
    config.max_waiting_checks = 3;
    config.retry_other_broker_when_not_stored = rng.chance(300);
    config.attempt_timeout = rng.pick(&[
        AttemptTimeout::Split,
        AttemptTimeout::Split,
        AttemptTimeout::Whole,
        AttemptTimeout::At(50 * MS),
        AttemptTimeout::At(700 * MS),
    ]);
    config.on_timeout = rng.pick(&[OnTimeout::Close, OnTimeout::CloseIfSilent, OnTimeout::Keep]);
    config.send_timeout = rng.pick(&[150 * MS, 1_000 * MS, 3_000 * MS]);
    config.api_timeout = rng.pick(&[100 * MS, 1_000 * MS, 3_000 * MS]);
    config.connect_timeout = rng.pick(&[50 * MS, 500 * MS, 3_000 * MS]);
    config.reconnect_min = rng.pick(&[10 * MS, 100 * MS]);
    config.reconnect_max = rng.pick(&[100 * MS, 2_000 * MS]);
    let beat = rng.pick(&[1_000 * MS, 5_000 * MS, 30_000 * MS]);
    config.heartbeat_interval = beat;
    config.poll_interval = rng.pick(&[beat / 2, beat, beat * 2]);
    config.forget_topic_after = rng.pick(&[1_000 * MS, 600_000 * MS]);
    config.max_in_flight = rng.pick(&[1, 3, 10, 1_000]);
    config.max_in_flight_bytes = rng.pick(&[300, 2_000, 1_000_000]);
    config.max_oneway = rng.pick(&[1, 5, 1_000]);
    config.fault_tolerance = match rng.below(4) {
        0 => Some(FaultTolerance::v4_9()),
        1 => Some(FaultTolerance::v5_1()),
        _ => None,
    };
    config.compress_over = rng.pick(&[None, Some(64), Some(4096)]);
    config.default_topic_queues = rng.within(1, 5) as i32;
    config.auto_batch = rng.chance(400).then(|| AutoBatch {
        linger: rng.pick(&[MS, 10 * MS, 300 * MS]),
        max_bytes: rng.pick(&[300, 2_000, 32 * 1024]),
        max_held_bytes: rng.pick(&[500, 32 * 1024 * 1024]),
    });
    config.trace = rng.chance(300).then(|| TraceConfig {
        max_records: rng.pick(&[1, 5, 100]),
        linger: rng.pick(&[10 * MS, 500 * MS]),
        max_waiting: rng.pick(&[3, 20, 1_000]),
        ..TraceConfig::default()
    });
    config.frame_limits = FrameLimits {
        max_frame_len: rng.pick(&[16 * 1024, 16 * 1024 * 1024]),
    };
    config
}
