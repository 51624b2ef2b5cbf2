//! Where addresses of name servers can be asked for over HTTP (PROTOCOL H.1, H.2): the settings, the
//! question, and how its answer is read.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::io::Endpoint;
use crate::name_servers::parse_name_servers;

/// The domain that Java asks when nothing is configured (`rocketmq.namesrv.domain`).
const JAVA_DOMAIN: &str = "jmenv.tbsite.net";
/// The last part of Java's path (`rocketmq.namesrv.domain.subgroup`).
const JAVA_SUBGROUP: &str = "nsaddr";
/// The largest answer that is read, head included: some thousand addresses.
const MAX_ANSWER: usize = 64 * 1024;
/// More headers than any server sends.
const MAX_HEADERS: usize = 64;

/// Asks an HTTP server for the addresses of the name servers, when none are configured (PROTOCOL
/// H.1): with the first operation, then every [`interval`](Self::interval). As long as nothing was
/// found, every [`retry`](Self::retry), and at once when a send needs it; the send waits for the
/// answer within its own budget. A list that was found stays in use until another one is.
///
/// The question goes over a connection like any other, through a proxy if a rule says so, but never
/// encrypted, and not through the [address map](crate::Config::address_map). Redirections are
/// not followed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Discovery {
    server: Endpoint,
    path: String,
    /// How often it is asked once it has answered. Default 120 s, as Java.
    pub interval: Duration,
    /// How often it is asked as long as it never answered. Default 10 s, Java's first delay.
    pub retry: Duration,
    /// The time for connecting and the whole answer. Default 3 s; Java gives 3 s to each.
    pub timeout: Duration,
}

/// A URL that cannot be asked for name servers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{url}` cannot be asked for name servers: {why}; write http://host:port/path")]
pub struct InvalidDiscovery {
    /// The URL.
    pub url: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Discovery {
    /// Asks this URL: `http://host[:port]/path`, port 80 unless it says otherwise. The answer's
    /// first line is the list, separated by `;`.
    ///
    /// # Errors
    /// The URL is not of that form.
    pub fn new(url: &str) -> Result<Self, InvalidDiscovery> {
        let invalid = |why| InvalidDiscovery {
            url: url.to_owned(),
            why,
        };
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| invalid("only http:// is spoken"))?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(invalid("user and password are not sent"));
        }
        if !path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            return Err(invalid("its path holds characters that have to be escaped"));
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        let server = match has_port {
            true => Endpoint::new(authority),
            false => Endpoint::new(format!("{authority}:80")),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            server: server.map_err(|_| invalid("it names no host and port"))?,
            path: format!("{slash}{path}"),
            interval: Duration::from_secs(120),
            retry: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
        })
    }

    /// Asks `http://<domain>:8080/rocketmq/<subgroup>`; the port only if the domain names none
    /// (`rocketmq.namesrv.domain`, `rocketmq.namesrv.domain.subgroup`).
    ///
    /// # Errors
    /// That is no URL.
    pub fn of_domain(domain: &str, subgroup: &str) -> Result<Self, InvalidDiscovery> {
        let port = if domain.contains(':') { "" } else { ":8080" };
        Self::new(&format!("http://{domain}{port}/rocketmq/{subgroup}"))
    }

    /// Asks where a Java client asks that was told nothing: `jmenv.tbsite.net`, subgroup `nsaddr`.
    pub fn java() -> Self {
        Self {
            server: Endpoint::from_parts(JAVA_DOMAIN, 8080),
            path: format!("/rocketmq/{JAVA_SUBGROUP}"),
            interval: Duration::from_secs(120),
            retry: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
        }
    }

    /// Asks for the name servers of a unit (`unitName`): appends `-<unit>?nofix=1`.
    ///
    /// # Errors
    /// The name holds what a URL cannot.
    pub fn unit(self, name: &str) -> Result<Self, InvalidDiscovery> {
        let url = format!("{}-{name}?nofix=1", self.url());
        let asked = Self::new(&url)?;
        Ok(Self {
            path: asked.path,
            ..self
        })
    }

    /// What is asked, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.server, self.path)
    }

    /// Who is asked.
    pub fn server(&self) -> &Endpoint {
        &self.server
    }

    /// The bytes of the question. HTTP/1.0, so that the answer comes in one piece and ends with the
    /// connection.
    pub(crate) fn question(&self, unix_ms: u64) -> Bytes {
        format!(
            "GET {} HTTP/1.0\r\nHost: {}\r\nClient-Version: V5_3_3\r\n\
             Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\n\
             Metaq-Client-RequestTS: {unix_ms}\r\nConnection: close\r\n\r\n",
            self.path, self.server
        )
        .into()
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

/// Reads what has arrived of an answer; `None` when more is needed, and may come. An answer that does
/// not give its length ends with the connection; that it was cut short cannot be seen then.
pub(crate) fn read_answer(bytes: &[u8], is_over: bool) -> Result<Option<Vec<Endpoint>>, String> {
    if bytes.len() > MAX_ANSWER {
        return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
    }
    let unfinished = || match is_over {
        true => Err("it closed the connection before its answer was complete".to_owned()),
        false => Ok(None),
    };
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let body = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => &bytes[length..],
        Ok(httparse::Status::Partial) => return unfinished(),
        Err(error) => return Err(format!("its answer is not HTTP: {error}")),
    };
    if head.code != Some(200) {
        let (code, reason) = (head.code.unwrap_or(0), head.reason.unwrap_or_default());
        return Err(format!("it answered {code} {reason}"));
    }
    let header = |name: &str| {
        let found = head
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value))
    };
    if let Some(coding) = header("transfer-encoding").filter(|coding| coding != "identity") {
        return Err(format!(
            "it answered HTTP/1.0 with transfer coding {coding}"
        ));
    }
    let length = match header("content-length") {
        None if is_over => body.len(),
        None => return Ok(None),
        Some(length) => length
            .trim()
            .parse()
            .map_err(|_| format!("it claims a length of {length}"))?,
    };
    if length > MAX_ANSWER {
        return Err(format!(
            "it claims an answer of {length} bytes, more than {MAX_ANSWER}"
        ));
    }
    match body.get(..length) {
        Some(body) => read_list(body).map(Some),
        None => unfinished(),
    }
}

/// The first line, which is the list. An answer of which a part is no address is none at all: it
/// would be a page of something else.
fn read_list(body: &[u8]) -> Result<Vec<Endpoint>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "its answer is not text".to_owned())?;
    let text = text.trim();
    let end = text.find('\r').or_else(|| text.find('\n'));
    let line = end.map_or(text, |end| &text[..end]);
    let servers = parse_name_servers([line]).map_err(|error| {
        let shown: String = error.0.chars().take(60).collect();
        format!("its answer holds `{shown}`, which is no host:port")
    })?;
    if servers.is_empty() {
        return Err("its answer names no address".to_owned());
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        Discovery::new(text).unwrap().url()
    }

    #[test]
    fn urls_are_built_as_java_builds_them() {
        let of = |domain| Discovery::of_domain(domain, "nsaddr").unwrap().url();
        assert_eq!(of("mq.example"), "http://mq.example:8080/rocketmq/nsaddr");
        assert_eq!(of("mq.example:81"), "http://mq.example:81/rocketmq/nsaddr");
        assert_eq!(
            Discovery::java().url(),
            "http://jmenv.tbsite.net:8080/rocketmq/nsaddr"
        );
        assert_eq!(
            Discovery::java().unit("u1").unwrap().url(),
            "http://jmenv.tbsite.net:8080/rocketmq/nsaddr-u1?nofix=1"
        );
        assert_eq!(url("http://mq.example"), "http://mq.example:80/");
        assert_eq!(url("http://mq.example?x=1"), "http://mq.example:80/?x=1");
        assert_eq!(url("http://[::1]/a"), "http://[::1]:80/a");
        assert_eq!(url("http://[::1]:81/a"), "http://[::1]:81/a");
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        for text in [
            "https://mq.example/a",
            "mq.example:8080/a",
            "http://",
            "http://user:pw@mq.example/a",
            "http://mq.example:0/a",
            "http://mq.example/a b",
            "http://mq.example/a\r\nHost: other",
            "http://mq.example/a#b",
        ] {
            assert_eq!(Discovery::new(text).unwrap_err().url, text);
        }
        assert!(Discovery::java().unit("a b").is_err());
    }

    #[test]
    fn a_question_is_as_java_asks_it() {
        let question = Discovery::new("http://h:81/p?q=1").unwrap().question(7);
        let text = std::str::from_utf8(&question).unwrap();
        assert!(
            text.starts_with("GET /p?q=1 HTTP/1.0\r\nHost: h:81\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nMetaq-Client-RequestTS: 7\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn answers_are_read_as_java_reads_them() {
        let list = |servers: &[&str]| {
            let servers = servers.iter().map(|s| Endpoint::new(s).unwrap());
            Ok(Some(servers.collect::<Vec<_>>()))
        };
        let no = |why: &str| Err(why.to_owned());
        let big = format!("HTTP/1.0 200 OK\r\n\r\n{}", "a:1;".repeat(20_000));
        type Row<'a> = (&'a str, bool, Result<Option<Vec<Endpoint>>, String>);
        let rows: [Row<'_>; 20] = [
            ("", false, Ok(None)),
            (
                "",
                true,
                no("it closed the connection before its answer was complete"),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Le", false, Ok(None)),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na:",
                false,
                Ok(None),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na:",
                true,
                no("it closed the connection before its answer was complete"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na:1",
                false,
                list(&["a:1"]),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na:1junk",
                false,
                list(&["a:1"]),
            ),
            ("HTTP/1.0 200 OK\r\n\r\na:1;b:2", false, Ok(None)),
            (
                "HTTP/1.0 200 OK\r\n\r\n a:1;b:2; ",
                true,
                list(&["a:1", "b:2"]),
            ),
            ("HTTP/1.0 200 OK\r\n\r\na:1\r\nb:2", true, list(&["a:1"])),
            ("HTTP/1.0 200 OK\r\n\r\na:1\nb:2", true, list(&["a:1"])),
            (
                "HTTP/1.0 200 OK\r\n\r\n  \r\n",
                true,
                no("its answer names no address"),
            ),
            (
                "HTTP/1.0 200 OK\r\n\r\n<html>",
                true,
                no("its answer holds `<html>`, which is no host:port"),
            ),
            (
                "HTTP/1.0 200 OK\r\n\r\na:1;b",
                true,
                no("its answer holds `b`, which is no host:port"),
            ),
            (
                "HTTP/1.0 404 Not Found\r\n\r\na:1",
                false,
                no("it answered 404 Not Found"),
            ),
            (
                "HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n",
                false,
                no("it answered 302 Found"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
                no("it answered HTTP/1.0 with transfer coding chunked"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                false,
                no("it claims a length of -1"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
                false,
                no("it claims an answer of 99999999 bytes, more than 65536"),
            ),
            (&big, false, no("its answer is longer than 65536 bytes")),
        ];
        for (bytes, is_over, result) in rows {
            assert_eq!(
                read_answer(bytes.as_bytes(), is_over),
                result,
                "{bytes:.90}"
            );
        }
        assert!(read_answer(&[0, 0, 0, 9, 1, 2], false).is_err());
        assert!(read_answer(b"HTTP/1.0 200 OK\r\n\r\n\xFF:1", true).is_err());
    }
}
