//! Whose turn it is.

use super::{
    Effect, Event, Line, Scheduler, State, Ticket, Timer, Turn,
    lines::{LaneKey, QueueKey},
};
use crate::EffectId;

impl Scheduler {
    /// Lets a line take turns in a lane.
    pub(super) fn list(&mut self, key: LaneKey, line: Line) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.ready.push_back(line);
            if lane.takes_a_turn() {
                let polls = lane.polls;
                self.stand_among_turns(key, polls);
            }
        }
    }

    /// The same, before all others: it had its turn, and the server sent it back.
    pub(super) fn list_first(&mut self, key: LaneKey, line: Line) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.ready.push_front(line);
        }
        self.take_turns(key);
    }

    /// Lets a queue take turns where its head wants to go, if it may.
    pub(super) fn list_queue(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.paused || queue.held.is_some() {
            return;
        }
        let head = queue.line.front().and_then(|head| self.jobs.get(head.0));
        let Some(entry) = head.filter(|entry| entry.state == State::InLine) else {
            return;
        };
        let lane = entry.lane;
        let before = queue.listed.replace(lane);
        if before == Some(lane) {
            // While no job was for it, nobody looked at the lane.
            return self.take_turns(lane);
        }
        // Its head was called back, and the next one goes elsewhere.
        if let Some(before) = before {
            self.pass_over(before);
        }
        self.list(lane, Line::Queue(key));
    }

    fn take_turns(&mut self, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key)
            && lane.takes_a_turn()
        {
            let polls = lane.polls;
            self.stand_among_turns(key, polls);
        }
    }

    pub(super) fn stand_among_turns(&mut self, key: LaneKey, polls: bool) {
        match polls {
            true => self.poll_turns.push_back(key),
            false => self.turns.push_back(key),
        }
    }

    /// Sends what may go, in turns, until the wire is full or nothing may go.
    pub(super) fn send_what_may_go(&mut self, turn: &mut Turn) {
        while self.online && self.polls < self.limits.polls {
            let Some(key) = self.poll_turns.pop_front() else {
                break;
            };
            self.send_one_of(key, turn);
        }
        while self.online && self.requests < self.limits.on_the_wire {
            let Some(key) = self.turns.pop_front() else {
                break;
            };
            self.send_one_of(key, turn);
        }
    }

    /// Sends the request of the lane whose turn it is, and lets the lane stand last again.
    fn send_one_of(&mut self, key: LaneKey, turn: &mut Turn) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.in_turns = false;
        if let Some(until) = lane.pace.wait(self.now) {
            if !lane.ready.is_empty() && lane.timer.is_none() {
                lane.timer = Some(until);
                self.timers.insert((until, Timer::Lane(key)));
            }
            return;
        }
        // What comes back of this one tells whether the rest may go.
        if lane.pace.probes() && lane.on_the_wire > 0 {
            return;
        }
        while let Some(line) = self
            .lanes
            .get_mut(key)
            .and_then(|lane| lane.ready.pop_front())
        {
            let Some(ticket) = self.head_of(key, line) else {
                continue;
            };
            if self.park(ticket, turn) {
                continue;
            }
            self.send(ticket, turn);
            break;
        }
        self.take_turns(key);
    }

    /// Who goes for a line of this lane; none where it has ended, may not go, or goes elsewhere.
    fn head_of(&mut self, lane: LaneKey, line: Line) -> Option<Ticket> {
        let key = match line {
            Line::Single(ticket) => {
                let entry = self.jobs.get(ticket.0);
                let goes = entry.is_some_and(|entry| entry.state == State::InLine);
                if !goes && let Some(lane) = self.lanes.get_mut(lane) {
                    lane.stale = lane.stale.saturating_sub(1);
                }
                return goes.then_some(ticket);
            }
            Line::Queue(key) => key,
        };
        let queue = self.queues.get_mut(key);
        let Some(queue) = queue.filter(|queue| queue.listed == Some(lane)) else {
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.stale = lane.stale.saturating_sub(1);
            }
            return None;
        };
        queue.listed = None;
        if queue.paused || queue.held.is_some() {
            return None;
        }
        let head = *queue.line.front()?;
        let entry = self.jobs.get(head.0)?;
        (entry.state == State::InLine).then_some(head)
    }

    fn send(&mut self, ticket: Ticket, turn: &mut Turn) {
        self.last_effect += 1;
        let (id, now) = (EffectId(self.last_effect), self.now);
        let Some(entry) = self.jobs.get_mut(ticket.0) else {
            return;
        };
        entry.state = State::OnTheWire(id);
        entry.sent_at = now;
        entry.tried.sent += 1;
        let (job, attempt, lane) = (entry.job.clone(), entry.tried.sent, entry.lane);
        self.wire.insert(id.0, ticket);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.on_the_wire += 1;
            lane.pace.sent(now);
            match lane.polls {
                true => self.polls += 1,
                false => self.requests += 1,
            }
        }
        self.keep_sending(ticket, &job, turn);
        turn.events.push(Event::Started { ticket, attempt });
        turn.effects.push(Effect::Send(id, job));
    }

    /// A job that was to wait stands in line again: with its queue, or for itself.
    pub(super) fn line_of(&self, ticket: Ticket) -> Option<(LaneKey, Line)> {
        let entry = self.jobs.get(ticket.0)?;
        let line = match entry.queue {
            Some(key) => Line::Queue(key),
            None => Line::Single(ticket),
        };
        Some((entry.lane, line))
    }

    /// Lets a job whose wait is over take turns again.
    pub(super) fn relist(&mut self, ticket: Ticket) {
        if let Some(entry) = self.jobs.get_mut(ticket.0) {
            entry.state = State::InLine;
        }
        match self.line_of(ticket) {
            Some((_, Line::Queue(key))) => self.list_queue(key),
            Some((lane, line)) => self.list(lane, line),
            None => {}
        }
    }

    /// The same, before all others of its lane.
    pub(super) fn relist_first(&mut self, ticket: Ticket) {
        if let Some(entry) = self.jobs.get_mut(ticket.0) {
            entry.state = State::InLine;
        }
        let Some((lane, line)) = self.line_of(ticket) else {
            return;
        };
        if let Line::Queue(key) = line {
            let Some(queue) = self.queues.get_mut(key) else {
                return;
            };
            if queue.paused || queue.listed.is_some() {
                return;
            }
            queue.listed = Some(lane);
        }
        self.list_first(lane, line);
    }

    pub(super) fn wake(&mut self, turn: &mut Turn) {
        while let Some((at, timer)) = self.timers.get_min().copied() {
            if at > self.now {
                break;
            }
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Job(ticket) => self.relist(ticket),
                Timer::Lane(key) => {
                    if let Some(lane) = self.lanes.get_mut(key) {
                        lane.timer = None;
                    }
                    self.take_turns(key);
                }
            }
        }
        self.send_what_may_go(turn);
    }

    pub(super) fn go_online(&mut self, online: bool, turn: &mut Turn) {
        self.online = online;
        if online {
            // What could not reach the server need not wait any longer.
            let waiting: Vec<_> = self
                .timers
                .iter()
                .filter_map(|(at, timer)| match timer {
                    Timer::Job(ticket) => Some((*at, *ticket)),
                    Timer::Lane(_) => None,
                })
                .collect();
            for (at, ticket) in waiting {
                self.timers.remove(&(at, Timer::Job(ticket)));
                self.relist(ticket);
            }
            self.send_what_may_go(turn);
        }
    }
}
