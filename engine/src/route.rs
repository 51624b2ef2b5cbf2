//! What is known about topics: their routes, who waits for one, and the questions to the name
//! servers that are under way (PROTOCOL C.5, E.6). The engine's own methods for it are in `lookup`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use rocketmq_proto::{TopicName, TopicRoute};
use rustc_hash::FxHashMap;

use crate::io::{ConnId, Endpoint, OpId};
use crate::publish::Publish;
use crate::rng::Rng;
use crate::slab::{Slab, id};

id! {
    /// A topic.
    pub(crate) TopicId, "topic"
}

id! {
    /// A question for a topic's route.
    pub(crate) LookupId, "lookup"
}

/// A topic that somebody used.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    /// The route as the name server last gave it, to tell a change by.
    pub(crate) route: Option<TopicRoute>,
    pub(crate) publish: Option<Arc<Publish>>,
    /// The clusters of its brokers.
    pub(crate) clusters: Arc<[String]>,
    /// Whether requests were sent to it, or may be replied to through it: its masters are to know
    /// us, so that they can push the replies (PROTOCOL G.3).
    pub(crate) wants_replies: bool,
    /// Whether it is a cluster's topic of replies, known for the sake of requests alone.
    pub(crate) is_for_replies: bool,
    /// Counts up with each change of the queues.
    pub(crate) epoch: u32,
    /// Round robin (F.1).
    pub(crate) counter: u32,
    /// The question that is under way: one at a time for each topic.
    pub(crate) lookup: Option<LookupId>,
    pub(crate) waiting: VecDeque<OpId>,
    pub(crate) used_at: Instant,
    /// When its last question ended: a refresh after an error does not ask again at once.
    pub(crate) asked_at: Option<Instant>,
    /// Questions in a row that were answered with "no such topic", although there was one.
    pub(crate) misses: u32,
}

/// A question for a topic's route.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) topic: TopicId,
    /// Whether the default topic is asked for, since there is no such topic (C.5).
    pub(crate) fallback: bool,
    /// Whether a name server said that it knows no such topic.
    pub(crate) missed: bool,
    /// Whether a name server did not let us ask.
    pub(crate) denied: bool,
    /// Whether one was asked a second time, since its connection broke.
    pub(crate) again: bool,
    pub(crate) deadline: Instant,
    /// When the first of those who wait for it runs out of time; the shares of name servers are
    /// parts of that.
    pub(crate) wanted_by: Instant,
    pub(crate) timer: Option<Instant>,
    /// The name servers asked, and what became of it.
    pub(crate) asked: Vec<Asked>,
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) server: Endpoint,
    /// The request, once it was given out: connection, correlation number, when.
    pub(crate) request: Option<(ConnId, i32, Instant)>,
    /// Why it did not help; `None` while its answer may still come.
    pub(crate) failure: Option<String>,
}

/// All topics, questions and name servers.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) topics: Slab<TopicId, Topic>,
    pub(crate) lookups: Slab<LookupId, Lookup>,
    /// Topics whose turn in the poll is yet to come.
    pub(crate) polling: VecDeque<TopicId>,
    by_name: FxHashMap<TopicName, TopicId>,
    /// Shuffled when they are listed (E.6).
    servers: Vec<Endpoint>,
    /// The one that answered last.
    current: usize,
}

impl Routes {
    pub(crate) fn new(servers: Vec<Endpoint>, rng: &mut Rng) -> Self {
        let mut routes = Self {
            topics: Slab::new(),
            lookups: Slab::new(),
            polling: VecDeque::new(),
            by_name: FxHashMap::default(),
            servers: Vec::new(),
            current: 0,
        };
        routes.replace_servers(servers, rng);
        routes
    }

    /// The topic of this name, made when it is new.
    pub(crate) fn topic(&mut self, name: &TopicName, now: Instant, rng: &mut Rng) -> TopicId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.topics.insert(Topic {
            name: name.clone(),
            route: None,
            publish: None,
            clusters: Arc::default(),
            wants_replies: false,
            is_for_replies: false,
            epoch: 0,
            counter: rng.next() as u32,
            lookup: None,
            waiting: VecDeque::new(),
            used_at: now,
            asked_at: None,
            misses: 0,
        });
        self.by_name.insert(name.clone(), id);
        id
    }

    /// What is known of a topic's queues, if they can be sent to.
    pub(crate) fn publish_of(&self, name: &TopicName) -> Option<&Arc<Publish>> {
        self.topics.get(*self.by_name.get(name)?)?.usable()
    }

    pub(crate) fn forget(&mut self, id: TopicId) {
        if let Some(topic) = self.topics.remove(id) {
            self.by_name.remove(&topic.name);
        }
    }

    /// The next name server for a question: from the one that answered last onwards, those that
    /// `is_doubtful` after the others.
    pub(crate) fn next_server(
        &self,
        lookup: &Lookup,
        is_doubtful: impl Fn(&Endpoint) -> bool,
    ) -> Option<Endpoint> {
        let count = self.servers.len();
        let around = || (0..count).map(|step| &self.servers[(self.current + step) % count]);
        let is_new = |server: &&Endpoint| !lookup.has_asked(server);
        around()
            .find(|server| is_new(server) && !is_doubtful(server))
            .or_else(|| around().find(is_new))
            .cloned()
    }

    /// All name servers, from the one that answered last onwards, those that `is_doubtful` after the
    /// others.
    pub(crate) fn in_turn(&self, is_doubtful: impl Fn(&Endpoint) -> bool) -> Vec<Endpoint> {
        let count = self.servers.len();
        let around = (0..count).map(|step| self.servers[(self.current + step) % count].clone());
        let (mut sound, doubtful): (Vec<_>, Vec<_>) = around.partition(|s| !is_doubtful(s));
        sound.extend(doubtful);
        sound
    }

    /// How many name servers a question has not reached yet.
    pub(crate) fn untried(&self, lookup: &Lookup) -> usize {
        let is_new = |server: &&Endpoint| !lookup.has_asked(server);
        self.servers.iter().filter(is_new).count()
    }

    pub(crate) fn name_servers(&self) -> &[Endpoint] {
        &self.servers
    }

    /// Takes a new list, shuffled (E.6); the one that answered last stays first if it is still
    /// there. Returns those that are no longer listed, or `None` when the lists are equal.
    pub(crate) fn replace_servers(
        &mut self,
        mut servers: Vec<Endpoint>,
        rng: &mut Rng,
    ) -> Option<Vec<Endpoint>> {
        servers.sort_unstable();
        servers.dedup();
        let listed = |server: &Endpoint| servers.binary_search(server).is_ok();
        let gone: Vec<_> = self
            .servers
            .iter()
            .filter(|s| !listed(s))
            .cloned()
            .collect();
        if gone.is_empty() && servers.len() == self.servers.len() {
            return None;
        }
        rng.shuffle(&mut servers);
        let last = self.servers.get(self.current);
        self.current = last
            .and_then(|last| servers.iter().position(|server| server == last))
            .unwrap_or(0);
        let before = std::mem::replace(&mut self.servers, servers);
        for id in self.lookups.keys() {
            if let Some(lookup) = self.lookups.get_mut(id) {
                // Who was not listed until now is asked, although he may have failed earlier on.
                // It also bounds what one question can remember.
                let was_listed = |asked: &Asked| before.contains(&asked.server);
                lookup
                    .asked
                    .retain(|asked| asked.failure.is_none() || was_listed(asked));
            }
        }
        Some(gone)
    }

    /// Notes which name server answers.
    pub(crate) fn answered(&mut self, server: &Endpoint) {
        if let Some(index) = self.servers.iter().position(|known| known == server) {
            self.current = index;
        }
    }

    pub(crate) fn is_name_server(&self, address: &Endpoint) -> bool {
        self.servers.contains(address)
    }
}

impl Topic {
    /// The queues, if there are any.
    pub(crate) fn usable(&self) -> Option<&Arc<Publish>> {
        self.publish.as_ref().filter(|publish| !publish.is_empty())
    }
}

impl Asked {
    /// Whether the question to this server is still to be written.
    pub(crate) fn awaits(&self, server: &Endpoint) -> bool {
        self.server == *server && self.request.is_none() && self.failure.is_none()
    }
}

impl Lookup {
    fn has_asked(&self, server: &Endpoint) -> bool {
        self.asked.iter().any(|asked| asked.server == *server)
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.asked
            .iter()
            .filter(|asked| asked.failure.is_none())
            .count()
    }

    /// Notes that a name server did not help.
    pub(crate) fn failed(&mut self, server: &Endpoint, why: String) {
        let open = self
            .asked
            .iter_mut()
            .find(|a| a.server == *server && a.failure.is_none());
        if let Some(asked) = open {
            asked.failure = Some(why);
        }
    }

    /// Which name servers were asked and what each said.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::from("asked name server ");
        for (n, asked) in self.asked.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            let failure = asked.failure.as_deref().unwrap_or("no answer");
            let _infallible = write!(text, "{separator}{}: {failure}", asked.server);
        }
        text
    }
}
