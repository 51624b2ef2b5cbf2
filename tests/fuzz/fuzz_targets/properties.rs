//! Reading a properties string never panics, and what is set can be got and removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketmq_proto::Properties;

fuzz_target!(|input: (String, &str, &str)| {
    let (wire, name, value) = input;
    let mut properties = Properties::from_wire(wire);
    assert_eq!(properties.iter().count(), properties.len());
    if properties.set(name, value).is_ok() {
        assert_eq!(properties.get(name), Some(value));
        assert!(properties.remove(name));
        assert_eq!(properties.get(name), None);
    }
});
