//! The model of the network.

use std::sync::Arc;

use matricula_core::{EffectId, Job, Processed, TransportErrorKind, TransportResult};

use crate::{
    Disk,
    event_queue::SimEvent,
    oracle::number,
    plan::{Fate, JobKind},
    server::{self, failed, success},
    simulation::Simulation,
};

/// The timeout of a request, in milliseconds.
const TIMEOUT: u64 = 30_000;

impl<D: Disk> Simulation<'_, D> {
    /// Sends a request.
    pub(crate) fn send(&mut self, id: EffectId, job: &Arc<Job>) {
        let fate = self.next_fate();
        let kind = self.kind_of(job);
        self.cover(name_of(fate));
        self.log(|| format!("job {} is sent: {fate:?}", number(job)));
        // When it arrives at the server, and when it completes with which result.
        let (arrives, after, result) = match fate {
            Fate::ConnectionRefused => {
                (None, 5, failed(TransportErrorKind::Connect, Processed::No))
            }
            Fate::RequestLost => (None, TIMEOUT, timeout()),
            Fate::RateLimited(millis, retry_after) => {
                (None, 10, server::limited(millis, retry_after))
            }
            _ if self.token_is_old() => {
                self.cover("unknown token");
                (None, 10, server::unknown_token())
            }
            Fate::Forbidden => (None, 10, server::forbidden()),
            Fate::Responded(millis) => (Some(millis / 2), millis, success()),
            Fate::ResponseLost => {
                let cut = failed(TransportErrorKind::ConnectionLost, Processed::Maybe);
                (Some(50), 100, cut)
            }
            Fate::ProcessedLate => (Some(TIMEOUT + 15_000), TIMEOUT, timeout()),
            Fate::DuplicateResult => {
                self.complete_after(700, id, success());
                (Some(5), 10, success())
            }
            Fate::DuplicateRequest => {
                if kind != JobKind::CreateRoom {
                    self.schedule(500, SimEvent::RequestArrived(Arc::clone(job)));
                }
                (Some(5), 10, success())
            }
            Fate::GatewayError(status, processed) => {
                (processed.then_some(5), 10, server::page(status))
            }
            Fate::Html => (Some(5), 10, server::page(200)),
            Fate::MatrixError(status, processed) => {
                (processed.then_some(5), 10, server::unknown(status))
            }
        };
        if let Some(after) = arrives {
            self.schedule(after, SimEvent::RequestArrived(Arc::clone(job)));
        }
        self.complete_after(after, id, result);
    }
}

fn timeout() -> TransportResult {
    failed(TransportErrorKind::Timeout, Processed::Maybe)
}

fn name_of(fate: Fate) -> &'static str {
    match fate {
        Fate::Responded(_) => "responded",
        Fate::ConnectionRefused => "connection refused",
        Fate::RequestLost => "request lost",
        Fate::ResponseLost => "response lost",
        Fate::ProcessedLate => "processed late",
        Fate::DuplicateResult => "duplicate result",
        Fate::DuplicateRequest => "duplicate request",
        Fate::RateLimited(..) => "rate-limited",
        Fate::GatewayError(_, true) => "gateway error after",
        Fate::GatewayError(_, false) => "gateway error before",
        Fate::Html => "html",
        Fate::Forbidden => "forbidden",
        Fate::MatrixError(_, true) => "matrix error after",
        Fate::MatrixError(_, false) => "matrix error before",
    }
}
