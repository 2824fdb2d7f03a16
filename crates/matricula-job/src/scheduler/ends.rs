//! How jobs come back from the wire, and how they end.

use std::time::Duration;

use super::{
    Effect, Entry, Event, Outcome, Scheduler, State, Ticket, Timer, Turn, Wait,
    judge::{self, Tried, Verdict, judge},
    lines::{LaneKey, Line, QueueKey},
};
use crate::{Answer, Cx, EffectId, Processed, QueuePolicy, Timestamp};

impl Scheduler {
    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        id: EffectId,
        answer: Answer,
        turn: &mut Turn,
    ) {
        // An answer to a job that was called back, or a second answer: nobody waits for it.
        let Some(ticket) = self.wire.remove(id.0) else {
            return;
        };
        if judge::may_be_processed(&answer)
            && let Some(entry) = self.jobs.get_mut(ticket.0)
        {
            entry.tried.may_be_processed = true;
        }
        let Some(entry) = self.jobs.get(ticket.0) else {
            return;
        };
        let (job, lane, sent_at) = (entry.job.clone(), entry.lane, entry.sent_at);
        let (tried, now) = (entry.tried.clone(), self.now);
        self.off_the_wire(lane);
        if self.credential_failed(ticket, id, &answer, turn) {
            return self.send_what_may_go(turn);
        }
        let is_offline = !self.online && is_unsent(&answer);
        let pace = self.learn_pace(lane, &answer, sent_at, &tried);
        let verdict = judge(&job, answer, &self.limits, &tried, pace, cx);
        match verdict {
            // Nothing that fails without a network counts.
            _ if is_offline => {
                self.keep_unsent(ticket, &job, turn);
                self.relist_first(ticket);
            }
            Verdict::End(outcome) => self.conclude(ticket, outcome, turn),
            Verdict::Wait { wait, why } => {
                let until = now.plus(wait);
                self.keep_unsent(ticket, &job, turn);
                if let Some(entry) = self.jobs.get_mut(ticket.0) {
                    match why {
                        Wait::RateLimited => {
                            entry.tried.paces += 1;
                            entry.tried.paced += wait;
                        }
                        Wait::Unreachable(_) => entry.tried.failures += 1,
                    }
                }
                match why {
                    Wait::RateLimited => self.relist_first(ticket),
                    Wait::Unreachable(_) => {
                        if let Some(entry) = self.jobs.get_mut(ticket.0) {
                            entry.state = State::BackingOff(until);
                        }
                        self.timers.insert((until, Timer::Job(ticket)));
                    }
                }
                turn.events.push(Event::Waiting { ticket, until, why });
            }
        }
        self.send_what_may_go(turn);
    }

    /// Takes what an answer says of the server's pace; how long a refused request is to wait.
    fn learn_pace(
        &mut self,
        lane: LaneKey,
        answer: &Answer,
        sent_at: Timestamp,
        tried: &Tried,
    ) -> Duration {
        let (Answer::Response(response), Some(lane)) = (answer, self.lanes.get_mut(lane)) else {
            return Duration::ZERO;
        };
        if response.status_code() != 429 {
            lane.pace.passed();
            return Duration::ZERO;
        }
        let asked = judge::pace(response, tried);
        let bounded = asked.min(self.limits.longest_pace);
        lane.pace.refused(self.now, sent_at, bounded, response);
        let until = lane.pace.wait(self.now).unwrap_or(self.now);
        asked.max(until.since(self.now))
    }

    /// One of the lane's requests is back: it may have been its probe.
    fn off_the_wire(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.on_the_wire = lane.on_the_wire.saturating_sub(1);
        let (polls, takes_a_turn) = (lane.polls, lane.takes_a_turn());
        match polls {
            true => self.polls = self.polls.saturating_sub(1),
            false => self.requests = self.requests.saturating_sub(1),
        }
        if takes_a_turn {
            self.stand_among_turns(key, polls);
        }
    }

    /// Ends a job, or holds its queue where that is the policy.
    pub(super) fn conclude(&mut self, ticket: Ticket, outcome: Outcome, turn: &mut Turn) {
        let Some(entry) = self.jobs.get(ticket.0) else {
            return;
        };
        let outcome = entry.tried.told(&entry.job, outcome);
        let holds = entry.job.queue_policy() == QueuePolicy::Hold && !outcome.success();
        let Some(key) = entry.queue.filter(|_| holds) else {
            return self.end(ticket, outcome, turn);
        };
        let job = entry.job.clone();
        if !matches!(outcome, Outcome::InDoubt(_)) {
            self.keep_unsent(ticket, &job, turn);
        }
        if let Some(entry) = self.jobs.get_mut(ticket.0) {
            entry.state = State::Held;
        }
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        queue.held = Some(outcome.clone());
        let id = queue.id.clone();
        self.keep_queue(key, turn);
        turn.events.push(Event::Held {
            queue: id,
            ticket,
            outcome,
        });
    }

    /// Ends a job, and lets the next of its queue go, or those behind it end too.
    pub(super) fn end(&mut self, ticket: Ticket, outcome: Outcome, turn: &mut Turn) {
        let Some(entry) = self.jobs.remove(ticket.0) else {
            return;
        };
        let outcome = entry.tried.told(&entry.job, outcome);
        let failed = !outcome.success();
        self.leave_lane(&entry);
        self.keep_outcome(ticket, &entry.job, &outcome, turn);
        turn.events.push(Event::Finished(ticket, outcome));
        let Some(key) = entry.queue else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let place = match queue.line.front() == Some(&ticket) {
            true => Ok(0),
            false => queue.line.binary_search(&ticket),
        };
        match place {
            Ok(0) => drop(queue.line.pop_front()),
            Ok(place) => drop(queue.line.remove(place)),
            Err(_) => {}
        }
        if failed && entry.job.queue_policy() == QueuePolicy::CancelFutureIfFailed {
            self.cancel_behind(key, place.unwrap_or_default(), turn);
        }
        self.go_on_with(key);
    }

    /// Those that stood behind a job which failed.
    fn cancel_behind(&mut self, key: QueueKey, place: usize, turn: &mut Turn) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        for ticket in queue.line.split_off(place) {
            let Some(entry) = self.jobs.remove(ticket.0) else {
                continue;
            };
            self.leave_lane(&entry);
            self.keep_outcome(ticket, &entry.job, &Outcome::Cancelled, turn);
            turn.events
                .push(Event::Finished(ticket, Outcome::Cancelled));
        }
    }

    fn leave_lane(&mut self, entry: &Entry) {
        if let Some(lane) = self.lanes.get_mut(entry.lane) {
            lane.jobs = lane.jobs.saturating_sub(1);
            // Nothing is to be woken for.
            if lane.jobs == 0
                && let Some(at) = lane.timer.take()
            {
                self.timers.remove(&(at, Timer::Lane(entry.lane)));
            }
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket, turn: &mut Turn) {
        let Some(entry) = self.jobs.get(ticket.0) else {
            return;
        };
        let (state, job, key, lane) = (entry.state, entry.job.clone(), entry.queue, entry.lane);
        let outcome = match state {
            State::InLine => {
                if key.is_none() {
                    self.pass_over(lane);
                }
                Outcome::Cancelled
            }
            State::BackingOff(until) => {
                self.timers.remove(&(until, Timer::Job(ticket)));
                Outcome::Cancelled
            }
            State::Parked => {
                self.unpark(ticket, &job);
                Outcome::Cancelled
            }
            // It has been on the wire: what came of it is its end.
            State::Held => {
                let queue = key.and_then(|key| self.queues.get_mut(key));
                let held = queue.and_then(|queue| queue.held.take());
                if let Some(key) = key {
                    self.keep_queue(key, turn);
                }
                held.unwrap_or(Outcome::Cancelled)
            }
            State::OnTheWire(id) => {
                self.wire.remove(id.0);
                self.off_the_wire(lane);
                turn.effects.push(Effect::CallBack(id));
                judge::called_back()
            }
        };
        self.end(ticket, outcome, turn);
        self.send_what_may_go(turn);
    }

    /// Ended jobs of no queue, and queues that went elsewhere, stand in their lane until their turn
    /// comes: not more than others do.
    pub(super) fn pass_over(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.stale += 1;
        if lane.stale > 64 && lane.stale > lane.ready.len() / 2 {
            let (jobs, queues) = (&self.jobs, &self.queues);
            lane.ready.retain(|line| match line {
                Line::Single(ticket) => jobs.get(ticket.0).is_some(),
                Line::Queue(queue) => {
                    let queue = queues.get(*queue);
                    queue.is_some_and(|queue| queue.listed == Some(key))
                }
            });
            lane.stale = 0;
        }
    }
}

/// Whether the request certainly did not arrive.
fn is_unsent(answer: &Answer) -> bool {
    matches!(answer, Answer::Failed(error) if error.processed == Processed::No && error.kind.is_transient())
}
