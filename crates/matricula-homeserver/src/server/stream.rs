//! A connection's socket, with the time-outs of HTTP: for the head of a request, and for a response
//! that the client does not read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{ServerLimits, connections::Connection};

/// How much of a response the client must read in each [`ServerLimits::stall_timeout`]. Of one byte,
/// a client could read a large response for years.
const MIN_PROGRESS: usize = 64 * 1024;

/// The socket. Its owner polls it to read as long as it waits for the head of a request, and flushes it
/// once everything is written; hyper does both.
pub(crate) struct TimedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    idle: Timer,
    stall: Timer,
    /// Written since the timer for the response started.
    written: usize,
    /// Whether a part of a response is not written yet.
    is_writing: bool,
}

impl TimedStream {
    pub(crate) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        limits: &ServerLimits,
    ) -> Self {
        Self {
            stream,
            connection,
            idle: Timer::new(limits.idle_timeout),
            stall: Timer::new(limits.stall_timeout),
            written: 0,
            is_writing: false,
        }
    }

    /// Fails once the client has taken too long for the head of a request.
    fn check_idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_writing || self.connection.has_request() {
            self.idle.stop();
            return Ok(());
        }
        self.idle.check(cx)
    }

    fn on_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.is_writing = true;
        self.idle.stop();
        match &written {
            Poll::Ready(Ok(count)) => {
                self.connection.note_progress();
                self.written = self.written.saturating_add(*count);
                if self.written >= MIN_PROGRESS {
                    self.written = 0;
                    self.stall.stop();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.stall.check(cx)?,
        }
        written
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match &read {
            Poll::Ready(_) => this.connection.note_progress(),
            // Bytes that arrive one by one do not extend the time.
            Poll::Pending => this.check_idle(cx)?,
        }
        read
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.on_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.on_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_writing {
            this.is_writing = false;
            this.written = 0;
            this.stall.stop();
            this.check_idle(cx)?;
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A time-out that runs from the first check until it is stopped.
struct Timer {
    after: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn new(after: Duration) -> Self {
        Self {
            after,
            running: None,
        }
    }

    fn stop(&mut self) {
        self.running = None;
    }

    /// Fails if the time has passed. Otherwise the task is woken when it has.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let after = self.after;
        let running = self.running.get_or_insert_with(|| Box::pin(sleep(after)));
        match running.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}
