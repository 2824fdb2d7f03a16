//! Reads the response of a server that closes the connection while the request is being written.

use std::io;

use ureq::{
    Error,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport},
};

/// Wraps connections, below TLS.
#[derive(Debug)]
pub(crate) struct WriteErrorConnector;

impl<In: Transport> Connector<In> for WriteErrorConnector {
    type Out = WriteErrorTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| WriteErrorTransport {
            transport,
            write_error: None,
        }))
    }
}

/// A connection that stays readable after a write error: the server may have sent a response before it
/// closed the connection.
#[derive(Debug)]
pub(crate) struct WriteErrorTransport<T> {
    transport: T,
    /// The first write error. Everything that is written after it is discarded.
    write_error: Option<io::Error>,
}

impl<T: Transport> Transport for WriteErrorTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.write_error.is_some() {
            return Ok(());
        }
        match self.transport.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_disconnect(&error) => {
                self.write_error = Some(error);
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let read = self.transport.await_input(timeout);
        let has_ended = match &read {
            Ok(has_input) => !has_input,
            Err(Error::Io(error)) => is_disconnect(error),
            Err(_) => false,
        };
        let error = match (&self.write_error, read) {
            // After a reset was reported by a write, reading reports the end of the stream.
            (Some(error), _) if has_ended => io::Error::other(format!(
                "connection closed while the request was sent: {error}"
            )),
            // Another kind of error: ureq takes a reset for the end of a body without a length.
            (None, Err(Error::Io(error))) if has_ended => io::Error::other(error),
            (_, read) => return read,
        };
        Err(Error::Io(error))
    }

    fn is_open(&mut self) -> bool {
        self.write_error.is_none() && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

/// Whether the error says that the connection is closed.
fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset
    )
}
