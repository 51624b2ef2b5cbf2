//! The HTTP server that knows the name servers, in whatever mood (PROTOCOL H.1, H.2).

use std::net::SocketAddr;

use rocketmq_engine::Frame;

use super::world::World;

/// Where it listens.
pub(super) const ADDRESS: ([u8; 4], u16) = ([10, 0, 3, 1], 8080);
/// What is asked.
pub(super) const URL: &str = "http://10.0.3.1:8080/rocketmq/nsaddr";

impl World {
    pub(super) fn is_discovery(&self, server: usize) -> bool {
        self.net.servers[server].address == SocketAddr::from(ADDRESS)
    }

    /// A question must be whole, and the only thing that is written to this server.
    pub(super) fn check_question(&self, id: u64, frame: &Frame) -> Result<(), String> {
        let head = String::from_utf8_lossy(&frame.head);
        let is_whole = head.starts_with("GET /rocketmq/nsaddr HTTP/1.0\r\n")
            && head.ends_with("\r\n\r\n")
            && frame.body.is_empty();
        if !is_whole || self.net.wires[&id].given.0 != 0 {
            return Err(format!("no question for name servers: {head:?}"));
        }
        Ok(())
    }

    /// Bytes of a question arrived; answers when it is whole.
    pub(super) fn ask_discovery(&mut self, id: u64) {
        let Some(wire) = self.net.wires.get(&id) else {
            return;
        };
        if !wire.at_server.ends_with(b"\r\n\r\n") {
            return;
        }
        let count = self.plan.name_servers;
        let some = self.rng.within(1, count);
        let list = |count| {
            let servers = (1..=count).map(|host| format!("10.0.0.{host}:9876"));
            servers.collect::<Vec<_>>().join(";")
        };
        // With its length: an answer without one that is cut short looks whole.
        let ok = |list: String| {
            let length = list.len();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{list}")
        };
        let mood = if self.is_calm { 9 } else { self.rng.below(12) };
        let answer = match mood {
            0 => return,
            1 => String::new(),
            2 => "HTTP/1.1 503 Busy\r\n\r\n".to_owned(),
            3 => ok(String::new()),
            4 => ok("<html>nobody is at home</html>".to_owned()),
            5 => ok("10.0.0.1:9876;".repeat(6_000)),
            6 => format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}",
                list(count)
            ),
            7 => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx".to_owned(),
            8 => "\0\0\0\u{10}\0\0\0\u{8}{}{}{}{}{}{}".to_owned(),
            9 => ok(list(count)),
            _ => ok(list(some)),
        };
        self.trace
            .line(self.now, || format!("* discovery answers {answer:.60}"));
        self.server_writes(id, answer.as_bytes());
        self.end_at_server(id);
    }
}
