//! Scripted servers on loopback, which record their requests.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use matricula_core::ServerUrl;

use crate::PATIENCE;

/// A received request, with header names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) header: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// All values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let header = self.header.iter();
        header
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The path and query of the request.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    fn read(from: impl Read) -> std::io::Result<Self> {
        let mut from = BufReader::new(from);
        let mut line = || -> std::io::Result<String> {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\r\n") {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            line.truncate(line.len() - 2);
            Ok(String::from_utf8_lossy(&line).into_owned())
        };
        let first = line()?;
        let mut header = Vec::new();
        loop {
            let line = line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
            header.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            line: first,
            header,
            body: Vec::new(),
        };
        if let [length] = request.header("content-length")[..] {
            request.body = vec![0; length.parse().unwrap()];
            from.read_exact(&mut request.body)?;
        }
        Ok(request)
    }
}

/// Writes the response to a request that was read. Then the connection is closed.
pub(crate) type Reply = Box<dyn FnOnce(&mut dyn Write) -> std::io::Result<()> + Send>;

/// Writes these bytes.
pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Reply {
    let bytes = bytes.into();
    Box::new(move |to| to.write_all(&bytes))
}

/// A response with a status and reason, further header lines, and a body with its length.
pub(crate) fn answer(status: &str, header: &[&str], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for line in header {
        head += line;
        head += "\r\n";
    }
    let mut answer = (head + "\r\n").into_bytes();
    answer.extend_from_slice(body);
    bytes(answer)
}

/// A response 200 with an empty JSON object.
pub(crate) fn ok() -> Reply {
    answer("200 OK", &["content-type: application/json"], "{}")
}

/// Writes the head once, and the tail until the client stops reading.
pub(crate) fn endless(head: &str, tail: &str) -> Reply {
    let (head, tail) = (head.to_owned(), tail.to_owned());
    Box::new(move |to| {
        to.write_all(head.as_bytes())?;
        loop {
            to.write_all(tail.as_bytes())?;
        }
    })
}

/// A server that accepts one connection for each reply, one after the other, and stops.
pub(crate) struct Server {
    pub(crate) url: ServerUrl,
    requests: Arc<Mutex<Vec<Request>>>,
    closed: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(
        replies: impl IntoIterator<Item = Reply, IntoIter: Send + 'static>,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let mut replies = replies.into_iter();
        let mut server = Self::raw("http", move |mut stream| {
            let Some(reply) = replies.next() else {
                return false;
            };
            if let Ok(request) = Request::read(&stream) {
                record.lock().unwrap().push(request);
                // It fails if the client closes early, which tests check on their side.
                let _ = reply(&mut stream);
            }
            replies.size_hint().0 > 0
        });
        server.requests = requests;
        server
    }

    /// The same over TLS.
    pub(crate) fn start_tls(
        config: Arc<rustls::ServerConfig>,
        replies: impl IntoIterator<Item = Reply, IntoIter: Send + 'static>,
    ) -> (Self, Arc<Mutex<Vec<Vec<u8>>>>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let protocols = Arc::new(Mutex::new(Vec::new()));
        let offered = Arc::clone(&protocols);
        let mut replies = replies.into_iter();
        let mut server = Self::raw("https", move |mut stream| {
            let Some(reply) = replies.next() else {
                return false;
            };
            let mut acceptor = rustls::server::Acceptor::default();
            while acceptor.read_tls(&mut stream).is_ok_and(|read| read > 0) {
                let Ok(Some(accepted)) = acceptor.accept() else {
                    continue;
                };
                let alpn = accepted.client_hello().alpn();
                let alpn = alpn.into_iter().flatten().map(<[u8]>::to_vec);
                offered.lock().unwrap().extend(alpn);
                let mut tls = accepted.into_connection(Arc::clone(&config)).unwrap();
                let mut secured = rustls::Stream::new(&mut tls, &mut stream);
                if let Ok(request) = Request::read(&mut secured) {
                    record.lock().unwrap().push(request);
                    let _ = reply(&mut secured);
                    tls.send_close_notify();
                    let _ = tls.complete_io(&mut stream);
                }
                break;
            }
            replies.size_hint().0 > 0
        });
        server.requests = requests;
        (server, protocols)
    }

    /// Hands each connection to `serve`, until that returns false.
    pub(crate) fn raw(
        scheme: &str,
        mut serve: impl FnMut(TcpStream) -> bool + Send + 'static,
    ) -> Self {
        let (listener, url) = listen(scheme);
        let closed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&closed);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let continues = serve(stream);
                count.fetch_add(1, Ordering::Release);
                if !continues {
                    return;
                }
            }
        });
        Self {
            url,
            requests: Arc::default(),
            closed,
        }
    }

    /// The requests, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request.
    pub(crate) fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// How many connections were served and closed.
    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::Acquire)
    }
}

/// Waits for the head of a request without reading it.
pub(crate) fn look_at_head(stream: &TcpStream) {
    let mut head = [0; 4096];
    loop {
        let came = stream.peek(&mut head).unwrap();
        assert!(came > 0, "no request came");
        if head[..came].windows(4).any(|end| end == b"\r\n\r\n") {
            return;
        }
        thread::yield_now();
    }
}

/// The last segments of the requested paths.
pub(crate) fn targets(server: &Server) -> Vec<String> {
    let requests = server.requests();
    let last = |target: &str| target.rsplit('/').next().unwrap().to_owned();
    requests.iter().map(|it| last(it.target())).collect()
}

/// Responds when the other half of the channel sends; dropping that half leaves the request without a
/// response.
pub(crate) fn when_released(released: std::sync::mpsc::Receiver<()>) -> Reply {
    Box::new(move |to| match released.recv() {
        Ok(()) => ok()(to),
        Err(_) => Ok(()),
    })
}

/// A server that must get no connection.
pub(crate) struct UnreachedServer {
    pub(crate) url: ServerUrl,
    listener: TcpListener,
}

impl UnreachedServer {
    pub(crate) fn new() -> Self {
        let (listener, url) = listen("http");
        Self { url, listener }
    }

    /// Fails if there was a connection.
    pub(crate) fn assert(&self) {
        // A connection can be accepted as soon as it is open for the client.
        self.listener.set_nonblocking(true).unwrap();
        let error = self.listener.accept().map(|(_, from)| from).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

/// The address of a port that is not listening.
pub(crate) fn unused_address() -> ServerUrl {
    listen("http").1
}

fn listen(scheme: &str) -> (TcpListener, ServerUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    (listener, url.parse().unwrap())
}
