//! Decides which job runs next, when it is tried again, and when it is given up.
//!
//! A job of a queue goes when those before it have ended; a job of none goes at once. Queues take
//! turns. What a server's pace holds back waits in a lane with the other requests that the server
//! counts together, and the rest goes on.
//!
//! | bound | what |
//! |---|---|
//! | [`Limits::jobs`] | jobs that have not ended |
//! | [`Limits::on_the_wire`], [`Limits::polls`] | requests on the wire, and those that wait for news |
//! | [`Limits::attempts`], [`Limits::longest_pace`] | how long one job is tried |
//! | [`Limits::outcomes`] | outcomes that are kept for whoever comes back for them |

mod class;
mod credentials;
mod ends;
mod judge;
mod lines;
mod pace;
mod queues;
mod stored;
mod table;
mod turns;
mod view;
mod words;

use std::{
    collections::VecDeque,
    hash::{BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use imbl::{GenericHashMap, OrdMap, OrdSet, Vector, shared_ptr::DefaultSharedPtr};

use class::Class;
use credentials::Parked;
pub use judge::Limits;
use judge::Tried;
use lines::{Lane, LaneKey, Line, Queue, QueueKey};
pub use stored::{StoredError, tables};
use table::{Few, Table};
pub use words::{Effect, Event, Input, Outcome, Refusal, Standing, Ticket, Wait};

use crate::{Cx, EffectId, Job, Machine, Step, Timestamp};

/// The scheduler: a [`Machine`] and a value that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Scheduler {
    limits: Arc<Limits>,
    /// Whether the jobs of queues are kept in a store.
    keeps: bool,
    /// Whether jobs wait for another credential where the server does not take theirs.
    parks: bool,
    online: bool,
    /// The time of the last step: a clock that was set back is noticed by it.
    now: Timestamp,
    last_ticket: u64,
    /// Tickets up to this may be given without telling the store.
    reserved: u64,
    last_effect: u64,
    last_key: u64,
    /// By ticket.
    jobs: Table<Entry>,
    /// By effect.
    wire: Few<Ticket>,
    requests: usize,
    polls: usize,
    queue_keys: HashMap<String, QueueKey>,
    queues: Table<Queue>,
    lane_keys: OrdMap<Class, LaneKey>,
    lanes: Few<Lane>,
    /// Most jobs go where the last one went.
    last_lane: Option<(Arc<Class>, LaneKey)>,
    turns: VecDeque<LaneKey>,
    poll_turns: VecDeque<LaneKey>,
    timers: OrdSet<(Timestamp, Timer)>,
    parked: OrdMap<crate::CredentialRef, Parked>,
    /// The last request that went out before each credential was renewed.
    renewed: OrdMap<crate::CredentialRef, EffectId>,
    /// Jobs whose outcomes are kept, oldest first.
    ended: Vector<Ticket>,
}

/// Its order is the same in every run, as all of a scheduler's is.
type HashMap<K, V> = GenericHashMap<K, V, BuildHasherDefault<DefaultHasher>, DefaultSharedPtr>;

type Turn = Step<Effect, Event>;

#[derive(Clone, Debug)]
struct Entry {
    job: Arc<Job>,
    queue: Option<QueueKey>,
    lane: LaneKey,
    state: State,
    tried: Tried,
    sent_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It goes when its turn comes.
    InLine,
    OnTheWire(EffectId),
    BackingOff(Timestamp),
    Parked,
    Held,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneKey),
    Job(Ticket),
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Scheduler {
    /// A scheduler with these limits, that keeps nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Arc::new(limits),
            keeps: false,
            parks: true,
            online: true,
            now: Timestamp::from_millis(0),
            last_ticket: 0,
            reserved: 0,
            last_effect: 0,
            last_key: 0,
            jobs: Table::default(),
            wire: Few::default(),
            requests: 0,
            polls: 0,
            queue_keys: HashMap::default(),
            queues: Table::default(),
            lane_keys: OrdMap::new(),
            lanes: Few::default(),
            last_lane: None,
            turns: VecDeque::new(),
            poll_turns: VecDeque::new(),
            timers: OrdSet::new(),
            parked: OrdMap::new(),
            renewed: OrdMap::new(),
            ended: Vector::new(),
        }
    }

    /// The same, for whoever renews credentials without its help: a job whose credential the server
    /// does not take ends with the server's answer, and no other waits for it.
    #[must_use]
    pub fn without_parking(self) -> Self {
        Self {
            parks: false,
            ..self
        }
    }

    fn submit(&mut self, job: Arc<Job>, turn: &mut Turn) {
        if let Some(refusal) = self.refusal(&job) {
            turn.events.push(Event::Refused(refusal));
            return;
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        turn.events.push(Event::Accepted(ticket));
        self.keep_job(ticket, &job, turn);
        self.stand_in_line(ticket, job);
        self.send_what_may_go(turn);
    }

    fn refusal(&self, job: &Job) -> Option<Refusal> {
        let most = self.limits.jobs;
        if self.jobs.len() >= most {
            return Some(Refusal::Full { most });
        }
        let is_kept = self.keeps && job.queue_id().is_some();
        (is_kept && (job.holds_secret() || job.asks_for_secret())).then_some(Refusal::Secret)
    }

    /// Puts it last in its queue; one of no queue is ready at once.
    fn stand_in_line(&mut self, ticket: Ticket, job: Arc<Job>) {
        let lane = self.lane_of(&job);
        let queue = job.queue_id().map(|id| self.queue_named(id));
        let entry = Entry {
            job,
            queue,
            lane,
            state: State::InLine,
            tried: Tried::default(),
            sent_at: Timestamp::from_millis(0),
        };
        self.jobs.insert(ticket.0, entry);
        let Some(key) = queue else {
            return self.list(lane, Line::Single(ticket));
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.line.push_back(ticket);
            if queue.line.len() == 1 {
                self.list_queue(key);
            }
        }
    }

    fn lane_of(&mut self, job: &Job) -> LaneKey {
        let known = self.last_lane.as_ref().filter(|(class, _)| class.has(job));
        let key = match known {
            Some((_, key)) if self.lanes.get(*key).is_some() => *key,
            _ => self.find_lane(Class::of(job)),
        };
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.jobs += 1;
        }
        key
    }

    fn find_lane(&mut self, class: Class) -> LaneKey {
        let key = match self.lane_keys.get(&class) {
            Some(key) => *key,
            None => {
                self.forget_idle_lanes();
                let key = self.next_key();
                self.lanes.insert(key, Lane::new(class.polls));
                self.lane_keys.insert(class.clone(), key);
                key
            }
        };
        self.last_lane = Some((Arc::new(class), key));
        key
    }

    /// What was learnt of a server's pace is forgotten when it is one of many, and nothing is for it.
    fn forget_idle_lanes(&mut self) {
        const MOST: usize = 256;
        if self.lanes.len() < MOST {
            return;
        }
        let lanes = &self.lanes;
        let is_idle = |key: &LaneKey| lanes.get(*key).is_none_or(|lane| lane.jobs == 0);
        let idle: Vec<_> = self
            .lane_keys
            .iter()
            .filter(|(_, key)| is_idle(key))
            .map(|(class, key)| (class.clone(), *key))
            .collect();
        for (class, key) in idle {
            self.lane_keys.remove(&class);
            if let Some(timer) = self.lanes.remove(key).and_then(|lane| lane.timer) {
                self.timers.remove(&(timer, Timer::Lane(key)));
            }
        }
    }

    fn queue_named(&mut self, id: &str) -> QueueKey {
        if let Some(key) = self.queue_keys.get(id) {
            return *key;
        }
        let key = self.next_key();
        self.queue_keys.insert(id.to_owned(), key);
        self.queues.insert(key, Queue::new(id.to_owned()));
        key
    }

    fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// Waits are as long as they were meant to be, also after the clock was set back.
    fn keep_time(&mut self, now: Timestamp) {
        if now < self.now {
            let by = self.now.since(now);
            let timers = self.timers.iter();
            self.timers = timers.map(|(at, timer)| (at.minus(by), *timer)).collect();
            for lane in self.lanes.values_mut() {
                lane.pace.shift(by);
                lane.timer = lane.timer.map(|at| at.minus(by));
            }
            for ticket in self.jobs.keys() {
                if let Some(entry) = self.jobs.get_mut(ticket) {
                    entry.sent_at = entry.sent_at.minus(by);
                    if let State::BackingOff(until) = &mut entry.state {
                        *until = until.minus(by);
                    }
                }
            }
        }
        self.now = now;
    }
}

impl Machine for Scheduler {
    type Input = Input;
    type Effect = Effect;
    type Event = Event;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        self.keep_time(cx.now);
        match input {
            Input::Start => self.start(&mut turn),
            Input::Submit(job) => self.submit(job, &mut turn),
            Input::Answer(id, answer) => self.answer(cx, id, answer, &mut turn),
            Input::Cancel(ticket) => self.cancel(ticket, &mut turn),
            Input::Pause(queue) => self.pause(&queue, &mut turn),
            Input::Resume(queue) => self.resume(&queue, &mut turn),
            Input::Retry(queue) => self.retry(&queue, &mut turn),
            Input::Skip(queue) => self.skip(&queue, &mut turn),
            Input::CredentialReady(credential) => self.credential_ready(credential, &mut turn),
            Input::CredentialRefused(credential) => {
                self.credential_refused(&credential, &mut turn);
            }
            Input::Online(online) => self.go_online(online, &mut turn),
            Input::Forget(ticket) => self.forget(ticket, &mut turn),
            Input::Wake => self.wake(&mut turn),
        }
        turn.wake_at = self.timers.get_min().map(|(at, _)| *at);
        turn
    }
}
