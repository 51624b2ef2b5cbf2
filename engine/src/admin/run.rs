//! A whole request: from its start to its one completion.

use std::time::Duration;

use rocketmq_proto::TopicName;

use super::answer::AdminAnswer;
use super::names;
use super::request::{AdminRequest, KeyQuery};
use super::state::{AdminOp, Target, TargetState};
use super::targets::{Known, Missing, targets};
use crate::config::Config;
use crate::engine::{Accepted, Engine, later};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::io::{Endpoint, Now, OpId, Outcome, ProducerId};
use crate::op::{Kind, Op};
use crate::route::TopicId;

impl Engine {
    pub(crate) fn begin_admin(
        &mut self,
        now: Now,
        producer: ProducerId,
        mut request: AdminRequest,
        timeout: Duration,
    ) -> Accepted {
        let deadline = later(now.mono, timeout);
        self.questions += 1;
        let renamed = names::outward(self.members.config(producer), &mut request);
        let topic = request.route_topic();
        let view = match &request {
            AdminRequest::View(id) => Some(Endpoint::of(id.addr)),
            _ => None,
        };
        let id = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Admin(Box::new(AdminOp::new(request))),
        });
        self.arm_op(id, deadline);
        match (renamed, topic, view) {
            (Err(error), ..) => self.finish(now, id, Outcome::Failed(error.into())),
            (_, Some(topic), _) => self.admin_route(now, id, &topic),
            (_, None, Some(address)) => {
                let broker = Target::new("broker", Some(address), now.mono);
                self.admin_targets(now, id, vec![broker]);
            }
            (_, None, None) => self.admin_step(now, id),
        }
        Accepted {
            op: id,
            admitted: true,
        }
    }

    /// Whom to ask is known, or the name servers have to say.
    fn admin_route(&mut self, now: Now, id: OpId, topic: &TopicName) {
        let topic_id = self.routes.topic(topic, now.mono, &mut self.rng);
        if let Some(topic) = self.routes.topics.get_mut(topic_id) {
            topic.used_at = now.mono;
            if topic.publish.is_some() {
                if let Ok(targets) = self.admin_whom(now, id, topic_id) {
                    return self.admin_targets(now, id, targets);
                }
            }
        }
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let deadline = op.deadline;
        if let Kind::Admin(admin) = &mut op.kind {
            admin.route = Some(topic_id);
            admin.refreshed = true;
        }
        self.wait_for_route(topic_id, id);
        self.look_up(now, topic_id, deadline);
    }

    /// The route it waited for is there, or will not come: `error` says why not.
    pub(crate) fn admin_routed(&mut self, now: Now, id: OpId, topic: TopicId, error: &SendError) {
        let Some(admin) = self.admin(id).filter(|admin| admin.route == Some(topic)) else {
            return;
        };
        admin.route = None;
        let why = match self.admin_whom(now, id, topic) {
            Ok(targets) => return self.admin_targets(now, id, targets),
            Err(why) => why,
        };
        let Some(known) = self.routes.topics.get(topic) else {
            return;
        };
        let topic = self.config.own_topic(&known.name);
        let text = match why {
            _ if known.route.is_none() && error.kind() == SendErrorKind::NameServer => {
                return self.finish(now, id, Outcome::Failed(error.clone()));
            }
            Missing::Topic => format!("The topic[{topic}] not matched route info ({error})"),
            Missing::Broker(name) => format!(
                "The broker[{name}] not exist: the route of topic {topic} names no such master"
            ),
            Missing::Masters => format!(
                "Not found broker, maybe key is wrong: the route of topic {topic} names no master"
            ),
        };
        let error = SendError::new(SendErrorKind::NoRoute, Certainty::NotSent, text);
        self.finish(now, id, Outcome::Failed(error));
    }

    fn admin_whom(&self, now: Now, id: OpId, topic: TopicId) -> Result<Vec<Target>, Missing> {
        let (Some(op), Some(topic)) = (self.ops.get(id), self.routes.topics.get(topic)) else {
            return Err(Missing::Topic);
        };
        let Kind::Admin(admin) = &op.kind else {
            return Err(Missing::Topic);
        };
        let known = Known {
            route: topic.route.as_ref(),
            publish: topic.publish.as_deref(),
            is_fresh: admin.refreshed,
        };
        targets(&admin.request, known, now.mono)
    }

    fn admin_targets(&mut self, now: Now, id: OpId, brokers: Vec<Target>) {
        self.admin_take(id, brokers);
        self.admin_step(now, id);
    }

    /// These brokers are to be asked, at their VIP port, if that is wanted (PROTOCOL C.6).
    fn admin_take(&mut self, id: OpId, mut brokers: Vec<Target>) {
        if self.config.vip_channel {
            for broker in &mut brokers {
                let vip = broker.address.as_ref().and_then(Endpoint::vip);
                broker.address = vip.or_else(|| broker.address.take());
            }
        }
        if let Some(admin) = self.admin(id) {
            admin.targets = brokers;
        }
    }

    /// Goes on: the end, or the next servers, or nothing but waiting.
    pub(super) fn admin_step(&mut self, now: Now, id: OpId) {
        loop {
            let Some(admin) = self.admin(id) else { return };
            if admin.is_settled() {
                if !self.admin_look_further(now, id) {
                    return self.admin_conclude(now, id);
                }
                continue;
            }
            let busy = admin.targets.iter().filter(|t| t.is_busy()).count();
            let idle = |target: &Target| target.state == TargetState::Waiting;
            let next = admin.targets.iter().position(idle);
            match next.filter(|_| busy < admin.width()) {
                Some(target) => self.admin_ask(now, id, target),
                None => break,
            }
        }
        let Some(admin) = self.admin(id) else { return };
        let due = admin.next_due();
        let deadline = self.ops.get(id).and_then(|op| op.deadline);
        if let Some(at) = due.into_iter().chain(deadline).min() {
            self.arm_op(id, at);
        }
    }

    /// Others to ask, when those so far had no answer. Returns whether there are any.
    fn admin_look_further(&mut self, now: Now, id: OpId) -> bool {
        let Some(admin) = self.admin(id).filter(|admin| admin.found.answer.is_none()) else {
            return false;
        };
        match &admin.request {
            request if request.asks_name_servers() => self.admin_name_servers(now, id),
            AdminRequest::Find { topic, id: message } => {
                let query = KeyQuery::by_unique_id(topic, message);
                query.is_ok_and(|query| self.admin_query(now, id, query))
            }
            _ => false,
        }
    }

    /// The name servers that were not asked yet; all of them at first.
    fn admin_name_servers(&mut self, now: Now, id: OpId) -> bool {
        let peers = &self.peers;
        let servers = self.routes.in_turn(|server| peers.is_doubtful(server));
        let Some(admin) = self.admin(id) else {
            return false;
        };
        let before = admin.targets.len();
        for server in servers {
            if !admin
                .targets
                .iter()
                .any(|t| t.address.as_ref() == Some(&server))
            {
                let target = Target::new("name server", Some(server), now.mono);
                admin.targets.push(target);
            }
        }
        admin.targets.len() > before
    }

    /// A message that is not in the store of the broker that its id names is looked for by its unique
    /// id (B.11).
    fn admin_query(&mut self, now: Now, id: OpId, query: KeyQuery) -> bool {
        let topic = self.routes.topic(query.topic(), now.mono, &mut self.rng);
        let Some(admin) = self.admin(id) else {
            return false;
        };
        admin.request = AdminRequest::Query(query);
        let Ok(targets) = self.admin_whom(now, id, topic) else {
            return false;
        };
        self.admin_take(id, targets);
        true
    }

    /// All servers have had their say.
    fn admin_conclude(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let config = self.members.config(op.producer);
        let timed_out = op.deadline.is_some_and(|deadline| deadline <= now.mono);
        let Kind::Admin(admin) = &mut op.kind else {
            return;
        };
        let failures = admin.failures();
        let mut outcome = match admin.found.answer.take() {
            Some(AdminAnswer::Messages(found)) if found.messages.is_empty() => {
                Outcome::Failed(admin.error(config, timed_out))
            }
            Some(AdminAnswer::Messages(mut found)) => {
                found
                    .messages
                    .sort_by_key(|message| message.store_timestamp);
                found.failures = failures;
                Outcome::Admin(Box::new(AdminAnswer::Messages(found)))
            }
            Some(AdminAnswer::Created(mut created)) => {
                created.brokers.sort_unstable();
                created.failures = failures;
                Outcome::Admin(Box::new(AdminAnswer::Created(created)))
            }
            Some(answer) => Outcome::Admin(Box::new(answer)),
            None => Outcome::Failed(admin.error(config, timed_out)),
        };
        if let Outcome::Admin(answer) = &mut outcome {
            names::inward(config, answer);
        }
        self.finish(now, id, outcome);
    }

    /// A wait is over: for the route, for one server, or for all.
    pub(crate) fn admin_due(&mut self, now: Now, id: OpId) {
        let is_over = self
            .ops
            .get(id)
            .and_then(|op| op.deadline)
            .is_some_and(|deadline| deadline <= now.mono);
        let Some(admin) = self.admin(id) else { return };
        if let Some(topic) = admin.route {
            let known = self.routes.topics.get(topic);
            let name = known.map(|topic| self.config.own_topic(&topic.name));
            let text = format!(
                "no route info of topic {} in time: {}",
                name.as_ref().map_or("", |name| name.as_str()),
                self.describe_lookup(topic)
            );
            let error = SendError::new(SendErrorKind::Timeout, Certainty::NotSent, text);
            return self.finish(now, id, Outcome::Failed(error));
        }
        self.admin_overdue(now, id);
        if is_over {
            self.admin_conclude(now, id);
        } else {
            self.admin_step(now, id);
        }
    }

    pub(super) fn admin(&mut self, id: OpId) -> Option<&mut AdminOp> {
        match &mut self.ops.get_mut(id)?.kind {
            Kind::Admin(admin) => Some(admin),
            _ => None,
        }
    }
}

impl AdminOp {
    /// What is known about what was asked for, if it ends now.
    pub(crate) fn certainty(&self) -> Certainty {
        let is_out = self.in_flight().next().is_some();
        match SendError::certainty_of(&self.reports()) {
            Certainty::NotSent | Certainty::Rejected if is_out => Certainty::Unknown,
            known => known,
        }
    }

    fn error(&self, config: &Config, timed_out: bool) -> SendError {
        let failures = self.failures();
        let request = names::own(config, &self.request);
        if failures.is_empty() {
            return self.not_found(&request);
        }
        let reports = self.reports();
        let last = failures.last();
        let kind = SendErrorKind::of(last.map(|report| &report.cause), timed_out);
        let what = request.describe();
        let text = match last {
            Some(last) => format!("{what} failed; the last to be asked, {last}"),
            None => format!("{what} failed"),
        };
        SendError::new(kind, SendError::certainty_of(&reports), text).with_attempts(reports)
    }

    fn not_found(&self, request: &AdminRequest) -> SendError {
        let reports = self.reports();
        let text = match (request, reports.last()) {
            (AdminRequest::Query(query), _) => format!(
                "query message by key finished, but no message. Topic {}, key {}",
                query.topic, query.key
            ),
            (_, Some(report)) => format!("no such message: {report}"),
            (request, None) => format!("{}: there is nobody to ask", request.describe()),
        };
        let (kind, certainty) = (SendErrorKind::NotFound, Certainty::Rejected);
        SendError::new(kind, certainty, text).with_attempts(reports)
    }
}

impl AdminRequest {
    fn describe(&self) -> String {
        match self {
            Self::ClusterInfo => "asking for the cluster".to_owned(),
            Self::CreateTopic(new) => {
                format!("create new topic failed: creating {}", new.topic)
            }
            Self::EarliestStoreTime(queue) => {
                format!("asking for the earliest store time of {queue}")
            }
            Self::Find { topic, id } => format!("looking for message {id} of topic {topic}"),
            Self::MaxOffset(queue) => format!("asking for the max offset of {queue}"),
            Self::MinOffset(queue) => format!("asking for the min offset of {queue}"),
            Self::Query(query) => format!("querying topic {} by key", query.topic),
            Self::Recall { topic, .. } => format!("recalling a message of topic {topic}"),
            Self::SearchOffset { queue, .. } => format!("searching the offset of {queue}"),
            Self::TopicList => "asking for all topics".to_owned(),
            Self::View(id) => format!("viewing message {id}"),
        }
    }
}
