//! What goes wrong in the cluster, and how it is mended.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::{
    Flags, RemotingCommand, RequestCode, ResponseCode, SerializeType, header::EmptyHeader, perm,
};
use rocketmq_testkit::{Fault, FaultRule, Health, Server, TopicConfig};

use super::net::NetEvent;
use super::plan::Weather;
use super::workload::{FLAPPY, ORDERED};
use super::world::{Event, World};

/// Beyond it, a rule is not worth keeping.
const MOST_TIMES: usize = 6;

impl World {
    /// The topics that not every broker has from the start.
    pub(super) fn make_topics(&mut self) {
        let mut conf = String::from("ghost:2");
        let (flappy, ordered) = (self.wire(FLAPPY), self.wire(ORDERED));
        for broker in self.cluster.brokers_mut() {
            broker.create_topic(&flappy, TopicConfig::new(2));
            broker.create_topic(&ordered, TopicConfig::new(4));
            conf.push_str(&format!(";{}:2", broker.config().name));
        }
        for server in self.cluster.name_servers_mut() {
            server.order_messages(true);
            server.put_kv("ORDER_TOPIC_CONFIG", &ordered, conf.as_str());
        }
        self.deal_queues();
    }

    /// One upset, drawn.
    pub(super) fn upset(&mut self) -> Result<(), String> {
        if self.is_calm {
            return Ok(());
        }
        let server = self.rng.below(self.net.servers.len());
        match self.rng.below(19) {
            0 | 1 => self.kill(server),
            2..6 => self.inject(server),
            6..8 => self.flap(),
            8 => {
                let hours = self.rng.pick(&[-1, 1]);
                self.note(|| format!("the wall clock jumps by {hours} h"));
                self.skew += hours * 3_600_000;
            }
            // Not before the first call: its polls would fill the hour.
            9 if !self.book.records.is_empty() && self.rng.chance(200) => {
                self.note(|| "the clock of deadlines jumps back by an hour".to_owned());
                self.turn_back(Duration::from_secs(3600));
            }
            9 => {
                let jump = self.rng.pick(&[20, 500, 4_000, 3_600_000]);
                self.note(|| format!("time stands still for {jump} ms"));
                self.stand_still(Duration::from_millis(jump));
            }
            10 | 11 => self.server_request()?,
            12 | 13 => self.sicken(),
            14 => self.each_wire_of(server, |world, id| {
                if let Some(wire) = world.net.wires.get_mut(&id) {
                    wire.is_silent = true;
                }
            }),
            15 => self.relist()?,
            16 | 17 => self.ask_about_halves(),
            _ => self.each_wire_of(server, Self::break_wire),
        }
        Ok(())
    }

    /// Mends everything, for good.
    pub(super) fn calm(&mut self) -> Result<(), String> {
        self.note(|| "calm".to_owned());
        self.is_calm = true;
        self.weather = Weather::FINE;
        for wire in self.net.wires.values_mut() {
            wire.spare();
        }
        for server in 0..self.net.servers.len() {
            self.revive(server);
            let address = self.net.servers[server].address;
            if let Some(server) = self.cluster.server_mut(address) {
                server.faults().clear();
            }
        }
        self.calm_hooks();
        let flappy = self.wire(FLAPPY);
        for broker in self.cluster.brokers_mut() {
            let config = broker.config_mut();
            config.health = Health::Good;
            config.going_away = false;
            config.writeable = true;
            broker.create_topic(&flappy, TopicConfig::new(2));
        }
        self.cluster.register_all();
        // A list that the application never touched is discovery's business.
        if self.plan.discovers && !self.is_relisted {
            return Ok(());
        }
        self.list_all()
    }

    pub(super) fn revive(&mut self, server: usize) {
        if std::mem::replace(&mut self.net.servers[server].is_up, true) {
            return;
        }
        self.note(|| format!("server {server} is back"));
        // A name server knows nothing until the brokers tell it: now, or at the next occasion.
        if self.is_calm || self.rng.chance(500) {
            self.cluster.register_all();
        }
    }

    fn kill(&mut self, server: usize) {
        self.note(|| format!("server {server} is killed"));
        self.net.servers[server].is_up = false;
        self.each_wire_of(server, |world, id| {
            // What is on its way to it is lost.
            if let Some(wire) = world.net.wires.get_mut(&id) {
                wire.is_silent = true;
            }
            world.break_wire(id);
        });
        if let Some(name_server) = self.cluster.name_servers_mut().get_mut(server) {
            name_server.forget();
            self.routes_shaken = true;
        }
        let after = self.rng.time(Duration::from_secs(2));
        self.schedule(after, Event::Revive(server));
    }

    fn inject(&mut self, server: usize) {
        let fault = self.draw_fault();
        let seed = self.rng.next();
        let times = self.rng.within(1, MOST_TIMES) as u64;
        let chance = self.rng.pick(&[0.2, 0.6, 1.0]);
        let sends_alone = self.net.servers[server].broker.is_some() && self.rng.chance(700);
        self.note(|| format!("server {server}: {times} times {fault:?}, at {chance}"));
        // A name server that denies a topic makes the producer ask for the default topic's route.
        self.routes_shaken |= matches!(&fault, Fault::Answer { code, .. }
            if *code == ResponseCode::TOPIC_NOT_EXIST && self.net.servers[server].broker.is_none());
        let mut rule = FaultRule::new(fault).times(times).probability(chance, seed);
        if sends_alone {
            rule = rule.sends();
        }
        let address = self.net.servers[server].address;
        if let Some(server) = self.cluster.server_mut(address) {
            let fits = server.faults().inject(rule);
            debug_assert!(fits.is_ok(), "a world has few upsets");
        }
    }

    fn draw_fault(&mut self) -> Fault {
        let code = self.rng.pick(&[
            ResponseCode::SYSTEM_BUSY,
            ResponseCode::SYSTEM_ERROR,
            ResponseCode::TOPIC_NOT_EXIST,
            ResponseCode::SERVICE_NOT_AVAILABLE,
            ResponseCode::NO_PERMISSION,
            ResponseCode::MESSAGE_ILLEGAL,
            ResponseCode::GO_AWAY,
            ResponseCode::FLUSH_DISK_TIMEOUT,
            ResponseCode::FLUSH_SLAVE_TIMEOUT,
            ResponseCode(-77),
        ]);
        let delay = self.rng.pick(&[5, 100, 900, 4_000]);
        match self.rng.below(14) {
            0..4 => Fault::Answer {
                code,
                remark: Some("as the simulation wants".to_owned()),
            },
            4 => Fault::AnswerTwice,
            5 => Fault::Delay(Duration::from_millis(delay)),
            6 => Fault::Garbage(self.draw_garbage()),
            7 => Fault::GoAway,
            8 => Fault::NeverAnswer,
            9 => Fault::OversizedFrame,
            10 => Fault::ResetAfterBytes(self.rng.below(300)),
            11 => Fault::ResetAfterProcessing,
            12 => Fault::ResetBeforeProcessing,
            _ => Fault::Swallow,
        }
    }

    fn draw_garbage(&mut self) -> Bytes {
        let length = self.rng.within(4, 60);
        let bytes: Vec<u8> = (0..length).map(|_| self.rng.next() as u8).collect();
        match self.rng.below(3) {
            0 => bytes.into(),
            // A length that is believable, and junk behind it.
            1 => [&[0, 0, 0, length as u8][..], &bytes].concat().into(),
            _ => [
                &[0, 0, 0, length as u8, 0, 0, 0, length as u8 - 4][..],
                &bytes,
            ]
            .concat()
            .into(),
        }
    }

    /// The route of one topic changes, on one broker.
    fn flap(&mut self) {
        if self.rng.chance(300) {
            self.note(|| "logical queues move on".to_owned());
            return self.deal_queues();
        }
        let broker = self.rng.below(self.cluster.brokers().len());
        let queues = self.rng.below(5) as i32;
        let perm = self
            .rng
            .pick(&[perm::READ, perm::READ | perm::WRITE, perm::WRITE]);
        let is_gone = self.rng.chance(300);
        self.note(|| {
            format!("{FLAPPY} on broker {broker}: {queues} queues, {perm}, gone: {is_gone}")
        });
        let flappy = self.wire(FLAPPY);
        let broker = &mut self.cluster.brokers_mut()[broker];
        if is_gone {
            broker.delete_topic(&flappy);
        } else {
            broker.create_topic(&flappy, TopicConfig::new(queues).perm(perm));
        }
        self.cluster.register_all();
    }

    /// A broker asks the client something (PROTOCOL A.7).
    fn server_request(&mut self) -> Result<(), String> {
        let wires = self.net.wires.iter();
        let open: Vec<u64> = wires
            .filter(|(_, wire)| wire.server_is_there)
            .map(|(id, _)| *id)
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let id = self.rng.pick(&open);
        let code = self.rng.pick(&[39, 40, 220, 221, 307, 309, 326, 12_345]);
        let opaque = self.rng.below(20) as i32;
        let mut request = RemotingCommand::request(RequestCode(code), opaque, &EmptyHeader);
        if self.rng.chance(400) {
            request.flags = Flags::ONEWAY;
        }
        let mut bytes = BytesMut::new();
        let encoded = request.encode(SerializeType::Json, &mut bytes);
        encoded.map_err(|error| error.to_string())?;
        self.note(|| format!("request {code} on wire {id}"));
        let event = NetEvent::ServerWrites(id, bytes.freeze());
        self.schedule(Duration::ZERO, Event::Net(event));
        Ok(())
    }

    fn sicken(&mut self) {
        let broker = self.rng.below(self.cluster.brokers().len());
        let health = self.rng.pick(&[
            Health::Good,
            Health::FlushDiskTimeout,
            Health::SlaveNotAvailable,
            Health::Unavailable,
            Health::PageCacheBusy,
            Health::MappedFileFailed,
        ]);
        let going_away = self.rng.chance(300);
        self.note(|| format!("broker {broker}: {health:?}, going away: {going_away}"));
        let config = self.cluster.brokers_mut()[broker].config_mut();
        config.health = health;
        config.going_away = going_away;
    }

    fn each_wire_of(&mut self, server: usize, mut work: impl FnMut(&mut Self, u64)) {
        let wires = self.net.wires.iter();
        let of_server: Vec<u64> = wires
            .filter(|(_, wire)| wire.server == server)
            .map(|(id, _)| *id)
            .collect();
        for id in of_server {
            work(self, id);
        }
    }

    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        self.trace.line(self.now, || format!("* {}", text()));
    }
}
