//! An HTTP server on loopback that tells clients where the name servers are (PROTOCOL H.1, H.2).

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;

/// A client that says nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 64;
/// The most questions that are remembered.
const MAX_QUESTIONS: usize = 1024;
/// No question is longer.
const MAX_QUESTION: usize = 16 * 1024;
const STACK: usize = 128 * 1024;

/// An HTTP server that answers every question alike, on 127.0.0.1 until this is dropped.
///
/// ```
/// use rocketmq_testkit::{AddressAnswer, AddressServer, Cluster};
///
/// # fn main() -> std::io::Result<()> {
/// let cluster = Cluster::builder().start()?;
/// let addresses = AddressServer::start(AddressAnswer::List(cluster.name_server_list()))?;
/// // Point the client's discovery to http://{addresses.addr()}/rocketmq/nsaddr; then:
/// assert!(addresses.questions().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AddressServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// What an [`AddressServer`] answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AddressAnswer {
    /// This list, as it should be.
    List(String),
    /// Nothing: the connection stays open.
    Never,
    /// These bytes, whatever they are; then the connection is closed.
    Raw(Bytes),
    /// These bytes, one after the other with a pause between them.
    Slow(Bytes, Duration),
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<AddressAnswer>,
    questions: Mutex<Vec<String>>,
    open: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    stopped: AtomicBool,
    /// Ends pauses when the server does.
    stopping: Condvar,
    pause: Mutex<()>,
}

impl AddressServer {
    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// When there is no free port, or no thread can be started.
    pub fn start(answer: AddressAnswer) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            questions: Mutex::default(),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
            stopping: Condvar::new(),
            pause: Mutex::new(()),
        });
        let accepting = Arc::clone(&shared);
        let listener = spawn(move || accept(&accepting, &listener))?;
        Ok(Self {
            address,
            shared,
            listener: Some(listener),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers this from now on.
    pub fn answer(&self, answer: AddressAnswer) {
        *lock(&self.shared.answer) = answer;
    }

    /// The questions so far, heads of HTTP requests, oldest first; at most 1024.
    pub fn questions(&self) -> Vec<String> {
        lock(&self.shared.questions).clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut open = lock(&self.shared.open);
        open.retain(|(_, thread)| !thread.is_finished());
        open.len()
    }
}

impl Drop for AddressServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // The accept loop sleeps until somebody comes.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        drop(lock(&self.shared.pause));
        self.shared.stopping.notify_all();
        for (socket, thread) in std::mem::take(&mut *lock(&self.shared.open)) {
            let _ = socket.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// False when the server has ended meanwhile.
    fn pause(&self, time: Duration) -> bool {
        let goes_on = |_: &mut ()| !self.stopped.load(Ordering::Acquire);
        // Which of both ended the pause is read from the flag.
        let _ = self
            .stopping
            .wait_timeout_while(lock(&self.pause), time, goes_on);
        !self.stopped.load(Ordering::Acquire)
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        if let Ok((client, _)) = accepted {
            // A connection that cannot be served is closed by dropping it.
            let _ = add(shared, client);
        }
    }
}

fn add(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let mut open = lock(&shared.open);
    open.retain(|(_, thread)| !thread.is_finished());
    if open.len() >= MAX_CONNECTIONS {
        return Ok(());
    }
    let socket = client.try_clone()?;
    let serving = Arc::clone(shared);
    let thread = spawn(move || {
        // Any error ends the connection; there is nobody to tell.
        let _ = serve(&serving, &client);
        let _ = client.shutdown(Shutdown::Both);
    })?;
    open.push((socket, thread));
    Ok(())
}

fn serve(shared: &Shared, mut client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        question.extend(byte);
        if question.len() > MAX_QUESTION {
            return Ok(());
        }
    }
    let mut questions = lock(&shared.questions);
    if questions.len() < MAX_QUESTIONS {
        questions.push(String::from_utf8_lossy(&question).into_owned());
    }
    drop(questions);
    let answer = lock(&shared.answer).clone();
    match answer {
        AddressAnswer::List(list) => {
            let length = list.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            client.write_all((head + &list).as_bytes())
        }
        AddressAnswer::Never => {
            client.set_read_timeout(None)?;
            client.read_exact(&mut [0])
        }
        AddressAnswer::Raw(bytes) => client.write_all(&bytes),
        AddressAnswer::Slow(bytes, pause) => {
            for byte in bytes {
                client.write_all(&[byte])?;
                if !shared.pause(pause) {
                    break;
                }
            }
            Ok(())
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("addresses".to_owned())
        .stack_size(STACK)
        .spawn(work)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
