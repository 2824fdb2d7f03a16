//! A connection that breaks off: what the server said before is heard, and its breaking is no end.

use std::io;

use ureq::{
    Error,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport},
};

/// Wraps connections as they are opened, below TLS.
#[derive(Debug)]
pub(crate) struct BreakingConnector;

impl<In: Transport> Connector<In> for BreakingConnector {
    type Out = Breaking<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| Breaking {
            transport,
            unwritten: None,
        }))
    }
}

/// A connection that is read on where the server takes no more of a request: it may have said why
/// before it hung up.
#[derive(Debug)]
pub(crate) struct Breaking<T> {
    transport: T,
    /// Why something could not be written; what came after it goes nowhere.
    unwritten: Option<io::Error>,
}

impl<T: Transport> Transport for Breaking<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.unwritten.is_some() {
            return Ok(());
        }
        match self.transport.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_broken(&error) => {
                self.unwritten = Some(error);
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let read = self.transport.await_input(timeout);
        let is_over = match &read {
            Ok(came) => !came,
            Err(Error::Io(error)) => is_broken(error),
            Err(_) => false,
        };
        let error = match (&self.unwritten, read) {
            // A system that told of a reset when it was written to tells of an end afterwards.
            (Some(error), _) if is_over => io::Error::other(format!(
                "connection closed while the request was sent: {error}"
            )),
            // Of another kind: where an answer ends with its connection, ureq takes this one for its end.
            (None, Err(Error::Io(error))) if is_over => io::Error::other(error),
            (_, read) => return read,
        };
        Err(Error::Io(error))
    }

    fn is_open(&mut self) -> bool {
        self.unwritten.is_none() && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

/// Whether the connection is gone, and not its time.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset
    )
}
