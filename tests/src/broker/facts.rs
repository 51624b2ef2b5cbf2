//! What the properties of a message say to the broker.

use crate::properties;

/// What the properties of a message say to the broker, found in one pass. The last of a name wins.
#[derive(Default)]
pub(super) struct Facts<'a> {
    pub(super) is_half: bool,
    pub(super) group: Option<&'a str>,
    pub(super) unique_key: Option<&'a str>,
    pub(super) delay_level: Option<&'a str>,
    pub(super) timer_seconds: Option<&'a str>,
    pub(super) timer_millis: Option<&'a str>,
    pub(super) timer_deliver: Option<&'a str>,
    /// Seconds before the first check of a half message.
    pub(super) immunity: Option<u64>,
    pub(super) deletes_timer: bool,
    pub(super) has_keys: bool,
    pub(super) has_inner_num: bool,
    pub(super) has_wait: bool,
    pub(super) has_pop_ck: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn read(wire: &'a str) -> Self {
        let mut facts = Self::default();
        for (name, value) in properties::pairs(wire) {
            match name {
                "TRAN_MSG" => facts.is_half = value.eq_ignore_ascii_case("true"),
                "PGROUP" => facts.group = Some(value),
                "UNIQ_KEY" => facts.unique_key = Some(value),
                "DELAY" => facts.delay_level = Some(value),
                "TIMER_DELAY_SEC" => facts.timer_seconds = Some(value),
                "TIMER_DELAY_MS" => facts.timer_millis = Some(value),
                "TIMER_DELIVER_MS" => facts.timer_deliver = Some(value),
                "CHECK_IMMUNITY_TIME_IN_SECONDS" => facts.immunity = value.parse().ok(),
                "TIMER_DEL_UNIQKEY" => facts.deletes_timer = true,
                "KEYS" => facts.has_keys = true,
                "INNER_NUM" => facts.has_inner_num = true,
                "WAIT" => facts.has_wait = true,
                "POP_CK" => facts.has_pop_ck = true,
                _ => {}
            }
        }
        facts
    }
}
