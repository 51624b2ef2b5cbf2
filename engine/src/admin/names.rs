//! Where topic names go out and come in: wrapped into the namespace, and taken out of it
//! again (PROTOCOL G.6).

use rocketmq_proto::{InvalidName, StoredMessage, TopicName};

use super::answer::AdminAnswer;
use super::request::AdminRequest;
use crate::config::Config;

/// The names as servers know them.
pub(super) fn outward(config: &Config, request: &mut AdminRequest) -> Result<(), InvalidName> {
    rename(request, |topic| config.wire_topic(topic))
}

/// A request in the application's own words, for texts.
pub(super) fn own(config: &Config, request: &AdminRequest) -> AdminRequest {
    let mut own = request.clone();
    match rename(&mut own, |topic| Ok(config.own_topic(topic).into_owned())) {
        Ok(()) => own,
        Err(_) => request.clone(),
    }
}

fn rename(
    request: &mut AdminRequest,
    name: impl Fn(&TopicName) -> Result<TopicName, InvalidName>,
) -> Result<(), InvalidName> {
    match request {
        AdminRequest::CreateTopic(topic) => {
            topic.topic = name(&TopicName::new(&topic.topic)?)?.to_string();
        }
        AdminRequest::EarliestStoreTime(queue)
        | AdminRequest::MaxOffset(queue)
        | AdminRequest::MinOffset(queue)
        | AdminRequest::SearchOffset { queue, .. } => queue.topic = name(&queue.topic)?,
        AdminRequest::Find { topic, .. } | AdminRequest::Recall { topic, .. } => {
            *topic = name(topic)?;
        }
        AdminRequest::Query(query) => query.topic = name(&query.topic)?,
        AdminRequest::ClusterInfo | AdminRequest::TopicList | AdminRequest::View(_) => {}
    }
    Ok(())
}

/// The names as the application knows them.
pub(super) fn inward(config: &Config, answer: &mut AdminAnswer) {
    let unwrap = |message: &mut StoredMessage| unwrapped(config, &mut message.topic);
    match answer {
        AdminAnswer::Message(message) => unwrap(message),
        AdminAnswer::Messages(result) => result.messages.iter_mut().for_each(unwrap),
        // What name servers know is told as they know it: all namespaces are in it.
        AdminAnswer::Cluster(_)
        | AdminAnswer::Created(_)
        | AdminAnswer::Number(_)
        | AdminAnswer::Recalled(_)
        | AdminAnswer::Topics(_) => {}
    }
}

fn unwrapped(config: &Config, topic: &mut String) {
    if let Ok(name) = TopicName::new(&*topic) {
        let own = config.own_topic(&name);
        if own.as_str() != topic.as_str() {
            *topic = own.to_string();
        }
    }
}
