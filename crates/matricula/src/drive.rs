//! The loop that brings a conversation, a server, a person and a store together.

use std::pin::Pin;

use matricula_auth::{Conversation, Effect, Event, Input, Notice, Question, Reply};
use matricula_http::{Runner, SystemEntropy, now};
use matricula_job::{
    Cx, Timestamp,
    scheduler::{self, Wait},
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Error, Keeper};

/// An answer that takes its time.
pub type Later = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Whoever can be asked, and told how it goes.
///
/// Any `FnMut(&Question) -> Reply` is one that watches nothing.
pub trait Person {
    /// Answers a question; [`Reply::Nobody`] where there is no one.
    fn ask(&mut self, question: &Question) -> Reply;

    /// Begins to answer a question that takes its time, such as one that is answered in a browser or
    /// a chat, without holding anything up; `None` where [`Person::ask`] answers it.
    fn answer_later(&mut self, _: &Question) -> Option<Later> {
        None
    }

    /// Hears how the conversation goes.
    fn notice(&mut self, _: &Notice) {}

    /// Hears that a request waits, until when, and why.
    fn waiting(&mut self, _until: Timestamp, _why: &Wait) {}
}

impl<F: FnMut(&Question) -> Reply> Person for F {
    fn ask(&mut self, question: &Question) -> Reply {
        self(question)
    }
}

/// Runs a conversation to its end: stores what it commits, sends what it wants sent, asks what it
/// wants asked.
///
/// # Errors
/// Where the conversation fails, or something could not be stored.
pub async fn drive<C: Conversation>(
    conversation: &mut C,
    runner: &Runner,
    keeper: &mut (impl Keeper + ?Sized),
    person: &mut (impl Person + ?Sized),
) -> Result<C::Output, Error> {
    let mut on_their_way = JoinSet::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut inputs = vec![Input::Start];
    loop {
        while let Some(input) = inputs.pop() {
            let step = conversation.step(&mut Cx::new(now(), &mut SystemEntropy), input);
            if !step.commit.is_empty() {
                keeper.commit(&step.commit)?;
            }
            for event in step.events {
                match event {
                    Event::Notice(notice) => person.notice(&notice),
                    Event::Finished(result) => return Ok(result?),
                    _ => {}
                }
            }
            for effect in step.effects {
                match effect {
                    Effect::Send(id, job) => {
                        let (runner, tell) = (runner.clone(), tell.clone());
                        on_their_way.spawn(async move {
                            let watch = |event: &scheduler::Event| {
                                // Nobody listens any more only when the conversation is over.
                                let _ = tell.send(event.clone());
                            };
                            Input::Outcome(id, runner.run(*job, watch).await)
                        });
                    }
                    Effect::Ask(id, question) => match person.answer_later(&question) {
                        Some(later) => {
                            on_their_way.spawn(async move { Input::Reply(id, later.await) });
                        }
                        None => inputs.push(Input::Reply(id, person.ask(&question))),
                    },
                    Effect::Wait(id, until) => {
                        on_their_way.spawn(async move {
                            tokio::time::sleep(until.since(now())).await;
                            Input::Waited(id)
                        });
                    }
                    _ => {}
                }
            }
        }
        tokio::select! {
            biased;
            Some(event) = told.recv() => {
                if let scheduler::Event::Waiting { until, why, .. } = event {
                    person.waiting(until, &why);
                }
            }
            Some(joined) = on_their_way.join_next() => match joined {
                Ok(input) => inputs.push(input),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
        }
    }
}
