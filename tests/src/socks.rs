//! A SOCKS5 proxy on loopback (RFC 1928, RFC 1929; PROTOCOL H.4).

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const FAILED: u8 = 1;
const HOST_UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
/// A client that says nothing for so long before it is connected is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 256;
const STACK: usize = 256 * 1024;

/// A SOCKS5 proxy that listens on 127.0.0.1 until this is dropped.
///
/// ```
/// use rocketmq_testkit::{Cluster, SocksProxy};
///
/// # fn main() -> std::io::Result<()> {
/// let cluster = Cluster::builder().start()?;
/// let proxy = SocksProxy::builder().credentials("user", "secret").start()?;
/// // Send to the cluster through proxy.addr(), then see who was reached through it:
/// assert!(proxy.targets().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// Settings of a [`SocksProxy`].
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct SocksProxyBuilder {
    credentials: Option<(String, String)>,
    names: HashMap<String, SocketAddr>,
}

struct Shared {
    settings: SocksProxyBuilder,
    /// Answered instead of connecting.
    refusal: Mutex<Option<u8>>,
    targets: Mutex<Vec<String>>,
    open: Mutex<Vec<Open>>,
    stopped: AtomicBool,
}

/// A connection with its thread.
struct Open {
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    thread: JoinHandle<()>,
}

impl SocksProxy {
    /// A proxy that connects everybody to everywhere.
    ///
    /// # Errors
    ///
    /// When there is no free port, or no thread can be started.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A proxy with settings.
    pub fn builder() -> SocksProxyBuilder {
        SocksProxyBuilder::default()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The targets that clients asked for, as `host:port`, in the order of asking; those refused are among them.
    pub fn targets(&self) -> Vec<String> {
        lock(&self.shared.targets).clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut open = lock(&self.shared.open);
        open.retain(|open| !open.thread.is_finished());
        open.len()
    }

    /// From now on answers this code of RFC 1928 instead of connecting (2: forbidden by its rules, 5: refused), or
    /// connects again.
    pub fn refuse(&self, code: Option<u8>) {
        *lock(&self.shared.refusal) = code;
    }

    /// Cuts every connection; the proxy goes on listening.
    pub fn close_connections(&self) {
        for open in lock(&self.shared.open).iter() {
            open.close();
        }
    }
}

impl SocksProxyBuilder {
    /// Clients have to name this user and password. By default nobody is asked.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Resolves this host name to this address, whatever port is asked for: a name that only the proxy knows. Other
    /// names are looked up as usual.
    pub fn name(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.names.insert(host.into(), address);
        self
    }

    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// When there is no free port, or no thread can be started.
    pub fn start(self) -> io::Result<SocksProxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            settings: self,
            refusal: Mutex::default(),
            targets: Mutex::default(),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let listener = spawn("socks listener", move || accept(&accepting, &listener))?;
        let listener = Some(listener);
        Ok(SocksProxy {
            address,
            shared,
            listener,
        })
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // The accept loop sleeps until somebody comes.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let open = std::mem::take(&mut *lock(&self.shared.open));
        for open in open {
            open.close();
            let _ = open.thread.join();
        }
    }
}

impl Open {
    fn close(&self) {
        for socket in lock(&self.sockets).iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
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
    open.retain(|open| !open.thread.is_finished());
    if open.len() >= MAX_CONNECTIONS {
        return Ok(());
    }
    let sockets = Arc::new(Mutex::new(vec![client.try_clone()?]));
    let (serving, known) = (Arc::clone(shared), Arc::clone(&sockets));
    let thread = spawn("socks connection", move || {
        // Any error ends the connection; there is nobody to tell.
        let _ = serve(&serving, client, &known);
    })?;
    open.push(Open { sockets, thread });
    Ok(())
}

fn serve(
    shared: &Shared,
    mut client: TcpStream,
    sockets: &Mutex<Vec<TcpStream>>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let result = negotiate(shared, &mut client).and_then(|target| {
        client.set_read_timeout(None)?;
        lock(sockets).push(target.try_clone()?);
        if shared.stopped.load(Ordering::Acquire) {
            return Ok(());
        }
        relay(&client, &target)
    });
    let _ = client.shutdown(Shutdown::Both);
    result
}

/// Ends with a connection to the target.
fn negotiate(shared: &Shared, client: &mut TcpStream) -> io::Result<TcpStream> {
    let [version, methods] = read(client)?;
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered)?;
    let method = match &shared.settings.credentials {
        _ if version != VERSION => return Err(io::ErrorKind::InvalidData.into()),
        None => NO_AUTHENTICATION,
        Some(_) => USER_AND_PASSWORD,
    };
    if !offered.contains(&method) {
        client.write_all(&[VERSION, NO_METHOD])?;
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    client.write_all(&[VERSION, method])?;
    if let Some((user, password)) = &shared.settings.credentials {
        let [_] = read(client)?;
        let given = (read_text(client)?, read_text(client)?);
        let known = given.0 == user.as_bytes() && given.1 == password.as_bytes();
        client.write_all(&[1, u8::from(!known)])?;
        if !known {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    match connect(shared, client) {
        Ok(target) => {
            answer(client, 0)?;
            Ok(target)
        }
        Err((code, error)) => {
            answer(client, code)?;
            Err(error)
        }
    }
}

/// Reads whom to connect to, and connects; an error comes with the code to answer.
fn connect(shared: &Shared, client: &mut TcpStream) -> Result<TcpStream, (u8, io::Error)> {
    let failed = |error| (FAILED, error);
    let [_, command, _, kind] = read(client).map_err(failed)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(client).map_err(failed)?).to_string(),
        4 => Ipv6Addr::from(read::<16>(client).map_err(failed)?).to_string(),
        _ => String::from_utf8_lossy(&read_text(client).map_err(failed)?).into_owned(),
    };
    let port = u16::from_be_bytes(read(client).map_err(failed)?);
    let target = if kind == 4 {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    lock(&shared.targets).push(target);
    if let Some(code) = *lock(&shared.refusal) {
        return Err((code, io::ErrorKind::PermissionDenied.into()));
    }
    if command != CONNECT {
        return Err((7, io::ErrorKind::Unsupported.into()));
    }
    let address = match shared.settings.names.get(&host) {
        Some(address) => Some(*address),
        None => (host.as_str(), port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut all| all.next()),
    };
    let Some(address) = address else {
        return Err((HOST_UNREACHABLE, io::ErrorKind::NotFound.into()));
    };
    let target = TcpStream::connect(address).map_err(|error| (REFUSED, error))?;
    target.set_nodelay(true).map_err(failed)?;
    Ok(target)
}

fn answer(client: &mut TcpStream, code: u8) -> io::Result<()> {
    client.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0])
}

/// Moves bytes both ways until one side ends.
fn relay(client: &TcpStream, target: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("socks back".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || pump(target, client))?;
        pump(client, target);
        Ok(())
    })
}

fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    // An end and an error are the same: both directions are over.
    let _ = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let [length] = read(client)?;
    let mut text = vec![0; usize::from(length)];
    client.read_exact(&mut text)?;
    Ok(text)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(work)
}

/// A panic elsewhere says nothing about the lists behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for SocksProxyBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocksProxyBuilder")
            .field(
                "credentials",
                &self.credentials.as_ref().map(|_| "redacted"),
            )
            .field("names", &self.names)
            .finish()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
