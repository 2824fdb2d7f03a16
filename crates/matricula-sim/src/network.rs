//! What becomes of requests on the wire.

use std::sync::Arc;

use matricula_core::{EffectId, Job, Processed, TransportErrorKind, TransportResult};

use crate::{
    Disk,
    happenings::Happening,
    ledger::number,
    plan::{Fate, Kind},
    server::{self, done, failed},
    world::World,
};

/// How long a client waits for an answer, in milliseconds.
const TIMEOUT: u64 = 30_000;

impl<D: Disk> World<'_, D> {
    /// Puts a request on the wire.
    pub(crate) fn send(&mut self, id: EffectId, job: &Arc<Job>) {
        let fate = self.next_fate();
        let kind = self.kind_of(job);
        self.saw(name_of(fate));
        self.note(|| format!("job {} goes: {fate:?}", number(job)));
        // When it arrives, if it does, and when which answer comes back.
        let (arrives, after, answer) = match fate {
            Fate::Refused => (None, 5, failed(TransportErrorKind::Connect, Processed::No)),
            Fate::LostBefore => (None, TIMEOUT, timeout()),
            Fate::Limited(millis, said) => (None, 10, server::limited(millis, said)),
            _ if self.token_is_old() => {
                self.saw("unknown token");
                (None, 10, server::unknown_token())
            }
            Fate::Forbidden => (None, 10, server::forbidden()),
            Fate::Answered(millis) => (Some(millis / 2), millis, done()),
            Fate::LostAfter => {
                let cut = failed(TransportErrorKind::ConnectionLost, Processed::Maybe);
                (Some(50), 100, cut)
            }
            Fate::Late => (Some(TIMEOUT + 15_000), TIMEOUT, timeout()),
            Fate::AnsweredTwice => {
                self.answer_in(700, id, done());
                (Some(5), 10, done())
            }
            Fate::ArrivesTwice => {
                if kind != Kind::Room {
                    self.later(500, Happening::Arrives(Arc::clone(job)));
                }
                (Some(5), 10, done())
            }
            Fate::Gateway(status, processed) => (processed.then_some(5), 10, server::page(status)),
            Fate::Html => (Some(5), 10, server::page(200)),
        };
        if let Some(after) = arrives {
            self.later(after, Happening::Arrives(Arc::clone(job)));
        }
        self.answer_in(after, id, answer);
    }
}

fn timeout() -> TransportResult {
    failed(TransportErrorKind::Timeout, Processed::Maybe)
}

fn name_of(fate: Fate) -> &'static str {
    match fate {
        Fate::Answered(_) => "answered",
        Fate::Refused => "refused",
        Fate::LostBefore => "lost before",
        Fate::LostAfter => "lost after",
        Fate::Late => "late",
        Fate::AnsweredTwice => "answered twice",
        Fate::ArrivesTwice => "arrives twice",
        Fate::Limited(..) => "limited",
        Fate::Gateway(_, true) => "gateway after",
        Fate::Gateway(_, false) => "gateway before",
        Fate::Html => "html",
        Fate::Forbidden => "forbidden",
    }
}
